import Crypto
import HTTPClient

/// The base URL of a pkarr relay; a key's packet is one path segment below it (spec/pkarr-wire.md, 2).
public struct RelayURL: Hashable, Sendable, CustomStringConvertible {
    /// Longer ones are no relay's: a limit for what is kept and printed.
    static let longest = 2048

    /// Without a final slash.
    public let description: String

    /// Nil unless it is an `http` or `https` URL with a host, and without query, fragment, user name, white space or control characters.
    public init?(_ text: some StringProtocol) {
        let text = String(text)
        guard text.utf8.count <= Self.longest, let scheme = httpScheme(of: text),
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && !forbidden.contains($0) })
        else { return nil }
        let rest = text.dropFirst(scheme.count + 3)
        let authority = rest.prefix { $0 != "/" }
        guard isAuthority(authority) else { return nil }
        var path = rest.dropFirst(authority.count)
        while path.last == "/" { path.removeLast() }
        description = "\(scheme)://\(authority)\(path)"
    }

    /// Where a key's packet is put and got.
    func url(of key: PublicKey) -> String { "\(description)/\(key.zBase32)" }

    /// The public relays (spec/pkarr-wire.md, 2).
    public static let publicRelays = [RelayURL("https://pkarr.pubky.app")!, RelayURL("https://pkarr.pubky.org")!]
}

private let forbidden = Set("?#@\\\"<>^`{|}".utf8)

/// A host name, an IPv4 address or an IPv6 address in brackets, each with or without a port.
private func isAuthority(_ text: Substring) -> Bool {
    var host = text
    if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
        let port = text[text.index(after: colon)...]
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(port), number > 0 else { return false }
        host = text[..<colon]
    }
    if host.first == "[" {
        return host.last == "]" && host.count > 2
            && host.dropFirst().dropLast().utf8.allSatisfy { $0 == 0x3a || $0 == 0x2e || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x66) || (0x30...0x39).contains($0) }
    }
    return !host.isEmpty && !host.contains(":") && !host.contains("[") && !host.contains("]") && host != "."
}
