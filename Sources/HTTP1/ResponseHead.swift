/// The head of a response (RFC 9112, 4).
public struct ResponseHead: MessageHead, Equatable {
    /// 100 to 999.
    public var status: Int
    /// Bytes that are no UTF-8 have become U+FFFD.
    public var reason: String
    public var minorVersion: Int
    public var fields: Fields

    public init(status: Int, reason: String, minorVersion: Int = 1, fields: Fields = Fields()) {
        self.status = status
        self.reason = reason
        self.minorVersion = minorVersion
        self.fields = fields
    }

    public init(line: ArraySlice<UInt8>, fields: ArraySlice<UInt8>) throws(MessageError) {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2 else { throw .malformed("the first line is no response") }
        minorVersion = try Self.minorVersion(words[0])
        guard words[1].count == 3, words[1].allSatisfy(Characters.isDigit), let status = Int(String(decoding: words[1], as: UTF8.self)), status >= 100
        else { throw .malformed("the status is no number of three digits") }
        self.status = status
        let phrase = words.count == 3 ? words[2] : words[1].prefix(0)
        guard phrase.allSatisfy(Characters.isText) else { throw .malformed("the reason has a control character") }
        reason = String(decoding: phrase, as: UTF8.self)
        self.fields = try Fields(parsing: fields)
    }

    public var bytes: [UInt8] { bytes(line: "HTTP/1.\(minorVersion) \(status) \(reason)") }

    /// Whether another response to the same request follows (RFC 9110, 15.2).
    public var isInterim: Bool { 100...199 ~= status && status != 101 }

    /// Whether there is no HTTP any more behind this head, in either direction (RFC 9110, 9.3.6 and 15.2.2).
    public func opensTunnel(for method: String) -> Bool { status == 101 || method == "CONNECT" && 200...299 ~= status }

    /// - Parameter method: That of the request.
    /// - Throws: ``MessageError/malformed(_:)`` when recipients could differ on it.
    public func framing(for method: String) throws(MessageError) -> BodyFraming {
        // These end with their heads, whatever the fields say (RFC 9112, 6.3).
        if method == "HEAD" || status < 200 || status == 204 || status == 304 || opensTunnel(for: method) { return .none }
        return try BodyFraming(fields, minorVersion: minorVersion) ?? .untilClose
    }
}
