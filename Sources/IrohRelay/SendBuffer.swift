import WebSocket

/// WebSocket messages that wait for one client, in the form in which they are sent.
final class SendBuffer {
    private var bytes: [UInt8] = []
    private var start = 0
    /// Where the messages that have not been sent whole end, after `firstEnd` that have.
    private var ends: [Int] = []
    private var firstEnd = 0

    var count: Int { bytes.count - start }
    var messages: Int { ends.count - firstEnd }
    var capacity: Int { bytes.capacity }

    /// Appends one message; `write` adds as many bytes as the header says.
    func append(_ header: WebSocketHeader, _ write: (inout [UInt8]) -> Void) {
        header.append(to: &bytes)
        write(&bytes)
        ends.append(bytes.count)
    }

    /// Appends bytes that are no WebSocket message.
    func append(raw: [UInt8]) {
        bytes += raw
        ends.append(bytes.count)
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Forgets the first bytes, which have been sent.
    ///
    /// - Returns: Whether a message has been sent whole.
    func drop(_ count: Int) -> Bool {
        start += count
        let before = firstEnd
        while firstEnd < ends.count, ends[firstEnd] <= start { firstEnd += 1 }
        let isWhole = firstEnd > before
        if start == bytes.count {
            reset()
        } else if start > bytes.count / 2 {
            // At most as many bytes are moved as have been sent.
            bytes.removeFirst(start)
            ends.removeFirst(firstEnd)
            for index in ends.indices { ends[index] -= start }
            (start, firstEnd) = (0, 0)
        }
        return isWhole
    }

    func reset() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        (start, firstEnd) = (0, 0)
    }
}

/// Buffers between two uses: a client has one only while something waits for it.
final class SendBufferPool {
    private static let kept = 16
    /// Bytes of a buffer that is kept.
    private static let largest = 512 << 10
    private var free: [SendBuffer] = []

    func take() -> SendBuffer { free.popLast() ?? SendBuffer() }

    func give(_ buffer: SendBuffer) {
        guard free.count < Self.kept, buffer.capacity <= Self.largest else { return }
        buffer.reset()
        free.append(buffer)
    }
}
