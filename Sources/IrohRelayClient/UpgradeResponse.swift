import HTTP1
import Iroh
import WebSocket

/// A relay's answer to the request to become a WebSocket (RFC 6455, 4.2.2), read strictly (RFC 9112).
struct UpgradeResponse {
    /// Bytes of a head at most. A relay's has 200; proxies and portals add cookies.
    static let largestHead = 8192

    /// The protocol agreed on.
    var version: RelayFrame.Version
    /// Bytes of the head with its empty line.
    var length: Int

    /// Reads a head; nil when its end has not come yet.
    ///
    /// - Parameter key: The request's `Sec-WebSocket-Key`.
    /// - Throws: What it is instead of an agreement.
    init?(decoding bytes: UnsafeRawBufferPointer, key: String) throws(RelayLinkFailure) {
        // Whoever speaks something else is not waited for.
        guard zip(bytes, "HTTP/1.".utf8).allSatisfy({ $0 == $1 }) else { throw .badAnswer("not HTTP/1") }
        var reader = HeadReader<ResponseHead>(limit: Self.largestHead)
        let count: Int, found: ResponseHead?
        do throws(MessageError) { (count, found) = try reader.consume(bytes) } catch { throw .badAnswer("\(error)") }
        guard let head = found else { return nil }
        let fields = head.fields
        switch head.status {
        case 101: break
        // The relay itself takes or refuses later, with words; these come from a proxy in front of it that has a list of its own.
        case 401, 403: throw .refused("answered \(head.status)")
        default: throw .notUpgraded(status: head.status, location: fields.first("location"))
        }
        guard fields.contains("websocket", in: "upgrade"), fields.contains("upgrade", in: "connection") else { throw .badAnswer("no upgrade to a WebSocket") }
        guard fields.values("sec-websocket-accept") == [WebSocketHandshake.accept(key: key)] else {
            throw .badAnswer("a wrong Sec-WebSocket-Accept")
        }
        guard fields.values("sec-websocket-extensions").isEmpty else { throw .badAnswer("a WebSocket extension that was not asked for") }
        let agreed = fields.values("sec-websocket-protocol")
        guard let version = RelayFrame.Version.allCases.first(where: { [$0.name] == agreed }) else {
            throw .badAnswer("not one of the protocols \(Self.offered)")
        }
        self.version = version
        length = count
    }

    /// The protocols that are offered, the preferred one first.
    static let offered = RelayFrame.Version.allCases.sorted(by: >).map(\.name).joined(separator: ", ")
}
