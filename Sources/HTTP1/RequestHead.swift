/// The head of a request (RFC 9112, 3).
public struct RequestHead: MessageHead, Equatable {
    /// A token; case matters.
    public var method: String
    /// As it came: UTF-8 without white space and control characters. ``form`` takes it apart.
    public var target: String
    public var minorVersion: Int
    public var fields: Fields

    public init(method: String, target: String, minorVersion: Int = 1, fields: Fields = Fields()) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
        self.fields = fields
    }

    public init(line: ArraySlice<UInt8>, fields: ArraySlice<UInt8>) throws(MessageError) {
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3 else { throw .malformed("the first line is no request") }
        minorVersion = try Self.minorVersion(words[2])
        guard Characters.isToken(words[0]) else { throw .malformed("the method is no token") }
        method = String(decoding: words[0], as: UTF8.self)
        guard !words[1].isEmpty, words[1].allSatisfy({ $0 > 0x20 && $0 != 0x7f }), let target = String(validating: words[1], as: UTF8.self)
        else { throw .malformed("the target has a character that has to be escaped") }
        self.target = target
        self.fields = try Fields(parsing: fields)
        guard form != nil else { throw .malformed("the target is no path and no address") }
        try checkHost()
    }

    /// A request has one host, which it may leave out in HTTP/1.0 (RFC 9112, 3.2).
    private func checkHost() throws(MessageError) {
        let hosts = fields.values("host")
        guard hosts.count == 1 || hosts.isEmpty && minorVersion == 0 else { throw .malformed("there has to be one Host") }
        guard hosts.allSatisfy(RequestTarget.isAuthority) || hosts == [""] else { throw .malformed("Host is no name") }
    }

    public var bytes: [UInt8] { bytes(line: "\(method) \(target) HTTP/1.\(minorVersion)") }

    /// The parts of the target; nil when it is none, which none that was read is.
    public var form: RequestTarget? { RequestTarget(target, method: method) }

    /// - Throws: ``MessageError/malformed(_:)`` when recipients could differ on it; nothing of the request may be passed on then.
    public func framing() throws(MessageError) -> BodyFraming { try BodyFraming(fields, minorVersion: minorVersion) ?? .none }

    /// The protocols that the client offers to go on with, in lower case (RFC 9110, 7.8).
    public var upgrades: [String] { minorVersion > 0 && fields.contains("upgrade", in: "connection") ? fields.elements("upgrade") : [] }
}
