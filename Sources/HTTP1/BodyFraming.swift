/// Where the body of a message ends (RFC 9112, 6).
public enum BodyFraming: Equatable, Sendable {
    case none
    /// So many bytes.
    case length(UInt64)
    case chunked
    /// With the connection; responses only.
    case untilClose

    /// What the fields say; nil when they say nothing.
    ///
    /// Whatever two recipients could read differently is refused, even where RFC 9112 offers to repair it (6.3, 11.2): a length beside a
    /// coding, several lengths, codings other than `chunked` alone, and a coding in HTTP/1.0.
    init?(_ fields: Fields, minorVersion: Int) throws(MessageError) {
        let lengths = fields.values("content-length"), codings = fields.values("transfer-encoding")
        guard codings.isEmpty else {
            guard lengths.isEmpty else { throw .malformed("Content-Length and Transfer-Encoding") }
            guard codings.count == 1, Characters.equal(codings[0].utf8, "chunked".utf8) else { throw .malformed("a Transfer-Encoding other than chunked") }
            guard minorVersion > 0 else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
            self = .chunked
            return
        }
        guard let length = lengths.first else { return nil }
        guard lengths.count == 1 else { throw .malformed("several Content-Length") }
        // UInt64 would take a sign.
        guard !length.isEmpty, length.utf8.allSatisfy(Characters.isDigit), let count = UInt64(length), count <= UInt64(Int64.max)
        else { throw .malformed("a Content-Length that is no number") }
        self = .length(count)
    }
}
