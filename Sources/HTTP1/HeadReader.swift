/// Takes the heads out of a stream of bytes. What is behind a head stays unread: first its body, which a ``BodyTracker`` measures.
///
/// Only CRLF ends a line: what one server takes for a line's end and another does not has smuggled requests past proxies (RFC 9112, 2.2
/// and 11.2). Memory grows with what has come, up to the limit and one appended piece.
public struct HeadReader<Head: MessageHead>: Sendable {
    /// Bytes that a head may have with its empty line; more give ``MessageError/headTooLarge``.
    public let limit: Int
    private var buffer: [UInt8] = []
    /// Where reading goes on in the buffer, where the head begins, its line and the search in that.
    private var start = 0
    private var lineStart = 0
    private var position = 0
    private var firstLineEnd: Int?
    private var hasSkipped = false

    public init(limit: Int = 64 << 10) { self.limit = limit }

    /// Bytes that wait.
    public var unreadCount: Int { buffer.count - start }

    /// Whether a part of a head has come.
    public var isInside: Bool { unreadCount > 0 }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) { buffer += bytes }
    public mutating func append(_ bytes: some Sequence<UInt8>) { buffer += bytes }

    /// Takes no more of the bytes than belong to a head, so that nothing behind it is copied.
    ///
    /// - Returns: How many were taken, and the head once it is whole.
    /// - Throws: As ``next()``.
    public mutating func consume(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> (count: Int, head: Head?) {
        var position = 0
        while position < bytes.count {
            let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
            append(UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
            position = end
            if let head = try next() { return (position, head) }
        }
        return (position, nil)
    }

    /// The next head; nil when its end has not come yet.
    ///
    /// - Throws: ``MessageError``, after which the stream is of no use: nobody knows where the next message begins.
    public mutating func next() throws(MessageError) -> Head? {
        if position == start, try !skipEmptyLine() { return nil }
        while let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
            guard end > lineStart, buffer[end - 1] == UInt8(ascii: "\r") else { throw .malformed("a line does not end with CRLF") }
            guard end - start < limit else { throw .headTooLarge }
            position = end + 1
            if end - 1 == lineStart, let firstLineEnd {
                let head = try Head(line: buffer[start..<firstLineEnd], fields: buffer[(firstLineEnd + 2)..<lineStart])
                restart(at: position)
                hasSkipped = false
                return head
            }
            if firstLineEnd == nil { firstLineEnd = end - 1 }
            lineStart = position
        }
        position = buffer.count
        guard unreadCount < limit else { throw .headTooLarge }
        return nil
    }

    /// Gives back what has not been read, and holds nothing any more.
    public mutating func takeUnread() -> [UInt8] {
        let unread = Array(buffer[start...])
        buffer = []
        restart(at: 0)
        return unread
    }

    /// One empty line before a message is to be ignored (RFC 9112, 2.2); anything else that no message begins with is told at once.
    ///
    /// - Returns: Whether a message has begun.
    private mutating func skipEmptyLine() throws(MessageError) -> Bool {
        if unreadCount > 0, buffer[start] == UInt8(ascii: "\r"), !hasSkipped {
            guard unreadCount > 1 else { return false }
            guard buffer[start + 1] == UInt8(ascii: "\n") else { throw .malformed("a line does not end with CRLF") }
            restart(at: start + 2)
            hasSkipped = true
        }
        guard unreadCount > 0 else { return false }
        guard Characters.isToken(buffer[start]) else { throw .malformed("this is no HTTP") }
        return true
    }

    private mutating func restart(at place: Int) {
        // Moving bytes for every small message of a large piece would cost the square of its size.
        if place == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 4096)
            start = 0
        } else if place > limit {
            buffer.removeFirst(place)
            start = 0
        } else {
            start = place
        }
        (lineStart, position, firstLineEnd) = (start, start, nil)
    }
}
