/// Cuts the bytes of a TCP connection into messages, each of which has its length before it (RFC 1035, section 4.2.2).
struct MessageFraming {
    /// Longer messages than this are no use to anybody: nobody can go on after one.
    let longest: Int
    private var buffer: [UInt8] = []
    private var position = 0

    init(longest: Int) { self.longest = longest }

    mutating func append(_ bytes: [UInt8]) {
        buffer.removeFirst(position)
        position = 0
        buffer += bytes
    }

    enum Next: Equatable {
        case message([UInt8])
        case incomplete
        /// Too long, or shorter than any message.
        case broken
    }

    mutating func next() -> Next {
        let rest = buffer.count - position
        guard rest >= 2 else { return .incomplete }
        let length = Int(buffer[position]) << 8 | Int(buffer[position + 1])
        guard (DNSQuery.headerSize...longest).contains(length) else { return .broken }
        guard rest >= 2 + length else { return .incomplete }
        defer { position += 2 + length }
        return .message(Array(buffer[position + 2..<position + 2 + length]))
    }

    /// A message with its length before it.
    static func framed(_ message: [UInt8]) -> [UInt8] { [UInt8(message.count >> 8), UInt8(message.count & 255)] + message }
}
