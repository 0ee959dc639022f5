/// The head of a message: its first line and its fields, up to the empty line (RFC 9112, 2.1).
public protocol MessageHead: Sendable {
    var fields: Fields { get set }
    /// The `x` of HTTP/1.x: 0 or 1.
    var minorVersion: Int { get }
    /// As it is sent, with the empty line.
    var bytes: [UInt8] { get }

    /// - Parameters:
    ///   - line: The first line without its CRLF.
    ///   - fields: The lines after it, each with its CRLF, without the empty line.
    init(line: ArraySlice<UInt8>, fields: ArraySlice<UInt8>) throws(MessageError)
}

extension MessageHead {
    /// Whether the sender keeps the connection open for another message (RFC 9112, 9.3).
    public var isPersistent: Bool {
        let options = fields.elements("connection")
        return !options.contains("close") && (minorVersion > 0 || options.contains("keep-alive"))
    }

    func bytes(line: String) -> [UInt8] {
        var bytes = Array(line.utf8)
        bytes += [0x0d, 0x0a]
        fields.write(to: &bytes)
        bytes += [0x0d, 0x0a]
        return bytes
    }

    /// The `x` of `HTTP/1.x` (RFC 9112, 2.3).
    static func minorVersion(_ word: some Collection<UInt8>) throws(MessageError) -> Int {
        let word = Array(word)
        guard word.count == 8, word[..<5].elementsEqual("HTTP/".utf8), Characters.isDigit(word[5]), word[6] == UInt8(ascii: "."),
            Characters.isDigit(word[7])
        else { throw .malformed("the first line is not HTTP's") }
        guard word[5] == UInt8(ascii: "1"), word[7] <= UInt8(ascii: "1") else { throw .version }
        return Int(word[7] - UInt8(ascii: "0"))
    }
}
