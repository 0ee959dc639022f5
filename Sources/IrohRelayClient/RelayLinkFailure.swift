/// Why a relay is not connected (any more). Its description is one line of printable ASCII, whatever the relay sent.
public enum RelayLinkFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// No connection to it: libcurl's words.
    case unreachable(String)
    /// Another HTTP status than 101, and where that sends a browser.
    case notUpgraded(status: Int, location: String?)
    /// An answer that makes no WebSocket of the relay protocol.
    case badAnswer(String)
    /// Something that the protocol has not.
    case protocolError(String)
    /// It is too slow: with what.
    case silent(String)
    /// It ended the connection.
    case closed
    /// It said that it restarts.
    case restarting
    /// It does not take this key or token: its reason.
    case refused(String)

    public var description: String {
        switch self {
        case .unreachable(let reason): Self.printable(reason)
        case .notUpgraded(let status, let location?):
            "answered \(status) to \(Self.printable(location)): a captive portal that wants a browser first, or no relay"
        case .notUpgraded(let status, nil) where status == 200 || status == 511:
            "answered \(status) instead of speaking to us: a captive portal that wants a browser first, or no relay"
        case .notUpgraded(let status, nil) where status >= 500: "answered \(status): out of order, or a proxy in front of it finds no relay"
        case .notUpgraded(let status, nil): "answered \(status): no relay, or a proxy in front of it that lets no WebSocket through"
        case .badAnswer(let what): "answered the request wrongly (\(Self.printable(what))): no relay"
        case .protocolError(let what): "sent \(Self.printable(what)): no relay, or one too new or broken"
        case .silent(let what): "was silent: \(what)"
        case .closed: "closed the connection"
        case .restarting: "restarts"
        case .refused(let reason): "refuses this key or token: \(Self.printable(reason))"
        }
    }

    /// A relay's words that are shown at most, in characters: enough for a reason, too few to fill a log.
    private static let longest = 200

    private static func printable(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars.prefix(longest) {
            shown += (0x20...0x7e).contains(scalar.value) ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
        }
        return shown + (text.unicodeScalars.count > longest ? "..." : "")
    }
}
