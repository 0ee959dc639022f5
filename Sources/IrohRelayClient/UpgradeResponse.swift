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
        let limited = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.largestHead))
        // Whoever speaks something else is not waited for.
        guard zip(limited, "HTTP/1.".utf8).allSatisfy({ $0 == $1 }) else { throw .badAnswer("not HTTP/1") }
        guard let end = Self.end(of: limited) else {
            if bytes.count >= Self.largestHead { throw .badAnswer("its head has no end within \(Self.largestHead) bytes") }
            return nil
        }
        let lines = limited[..<(end - 4)].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
        guard lines.allSatisfy(HTTPFields.isText) else { throw .badAnswer("control characters in its head") }
        let status = try Self.status(String(decoding: lines[0], as: UTF8.self))
        guard let fields = HTTPFields(decoding: lines.dropFirst()) else { throw .badAnswer("a malformed header") }
        func has(_ word: String, in name: String) -> Bool {
            fields.values(name).flatMap(WebSocketHandshake.words).contains { $0.lowercased() == word }
        }
        switch status {
        case 101: break
        // The relay itself takes or refuses later, with words; these come from a proxy in front of it that has a list of its own.
        case 401, 403: throw .refused("answered \(status)")
        default: throw .notUpgraded(status: status, location: fields.values("location").first)
        }
        guard has("websocket", in: "upgrade"), has("upgrade", in: "connection") else { throw .badAnswer("no upgrade to a WebSocket") }
        guard fields.values("sec-websocket-accept") == [WebSocketHandshake.accept(key: key)] else {
            throw .badAnswer("a wrong Sec-WebSocket-Accept")
        }
        guard fields.values("sec-websocket-extensions").isEmpty else { throw .badAnswer("a WebSocket extension that was not asked for") }
        let agreed = fields.values("sec-websocket-protocol")
        guard let version = RelayFrame.Version.allCases.first(where: { [$0.name] == agreed }) else {
            throw .badAnswer("not one of the protocols \(Self.offered)")
        }
        self.version = version
        length = end
    }

    /// The protocols that are offered, the preferred one first.
    static let offered = RelayFrame.Version.allCases.sorted(by: >).map(\.name).joined(separator: ", ")

    private static func status(_ line: String) throws(RelayLinkFailure) -> Int {
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0] == "HTTP/1.1" || words[0] == "HTTP/1.0", words[1].utf8.count == 3,
            words[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let status = Int(words[1]), status >= 100
        else { throw .badAnswer("a malformed status line") }
        return status
    }

    private static func end(of bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for end in 4...bytes.count
        where bytes[end - 1] == 10 && bytes[end - 2] == 13 && bytes[end - 3] == 10 && bytes[end - 4] == 13 { return end }
        return nil
    }
}
