import WebSocket

/// WebSocket messages of a client that wait to be sent, in the form in which they are sent.
///
/// Its bytes never move: a TLS connection that could not take some has to be given them again from the same place.
final class SendRing {
    private let memory: UnsafeMutableRawBufferPointer
    private var start = 0
    private(set) var count = 0

    /// - Parameter capacity: Bytes.
    init(capacity: Int) { memory = .allocate(byteCount: capacity, alignment: 64) }

    deinit { memory.deallocate() }

    var free: Int { memory.count - count }

    /// Appends bytes that are no WebSocket message; there has to be room.
    func append(raw bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        var mask = RunningMask(0)
        bytes.withUnsafeBytes { copy($0, &mask) }
    }

    /// Bytes that a binary message takes.
    static func size(_ payload: Int) -> Int { WebSocketHeader(opcode: .binary, mask: 0, payload: payload).length + payload }

    /// Appends one message, whose payload is `head` and `body`; there has to be room.
    func append(_ opcode: WebSocketOpcode, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer = .init(start: nil, count: 0)) {
        let key = UInt32.random(in: 0...UInt32.max)
        var none = RunningMask(0)
        WebSocketHeader(opcode: opcode, mask: key, payload: head.count + body.count).withEncoded { copy($0, &none) }
        var mask = RunningMask(key)
        copy(head, &mask)
        copy(body, &mask)
    }

    /// A mask that goes on where the piece before has ended.
    private struct RunningMask {
        var key: UInt32
        init(_ key: UInt32) { self.key = key }

        /// For the byte that stands `count` after the one it is for.
        mutating func advance(_ count: Int) {
            let bits = UInt32(count & 3) * 8
            let little = UInt32(littleEndian: key)
            key = (little >> bits | little << ((32 - bits) & 31)).littleEndian
        }
    }

    private func copy(_ bytes: UnsafeRawBufferPointer, _ mask: inout RunningMask) {
        precondition(bytes.count <= free, "who appends has looked for room")
        var rest = bytes
        while !rest.isEmpty {
            let end = (start + count) % memory.count
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(memory.count - end))
            let place = UnsafeMutableRawBufferPointer(rebasing: memory[end..<end + piece.count])
            place.copyMemory(from: piece)
            if mask.key != 0 { applyWebSocketMask(mask.key, to: place) }
            mask.advance(piece.count)
            count += piece.count
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
        }
    }

    /// The first bytes that wait, as many as stand together.
    var first: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[start..<min(memory.count, start + count)])
    }

    /// Forgets the first bytes, which have been sent.
    func drop(_ count: Int) {
        self.count -= count
        // Where nothing waits, the memory that the processor still has in its cache is used again.
        start = self.count == 0 ? 0 : (start + count) % memory.count
    }
}
