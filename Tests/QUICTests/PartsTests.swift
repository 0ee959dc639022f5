import Crypto
import Glibc
import Platform
import Testing

@testable import QUIC

@Suite struct ByteQueues {
    private func bytes(_ queue: borrowing ByteQueue, fromCursor: Bool) -> [UInt8] {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { vectors in
            vectors[..<queue.fill(vectors, fromCursor: fromCursor)].flatMap { Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
        }
    }

    @Test("It holds exactly what was appended and not dropped, and tells sent bytes from unsent ones", arguments: 1...6 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var numbers = Numbers(seed)
        var queue = ByteQueue(pool: BlockPool())
        var model: [UInt8] = []
        var sent = 0
        for _ in 0..<100 {
            switch numbers.next() % 3 {
            case 0:
                let more = pattern(Int(numbers.next() % 100_000))
                more.withUnsafeBytes { queue.append($0) }
                model += more
            case 1:
                let step = Int(numbers.next() % UInt64(model.count - sent + 1))
                queue.advance(step)
                sent += step
            default:
                // Only what was sent is confirmed.
                let step = Int(numbers.next() % UInt64(sent + 1))
                queue.drop(step)
                model.removeFirst(step)
                sent -= step
            }
            #expect(queue.count == model.count)
            #expect(queue.unsent == model.count - sent)
            if model.count < 2 << 20 {
                #expect(bytes(queue, fromCursor: false) == model)
                #expect(bytes(queue, fromCursor: true) == Array(model[sent...]))
            }
        }
        queue.removeAll()
        #expect(queue.count == 0 && queue.unsent == 0)
    }
}

@Suite struct ClosedConnectionIDs {
    private let id = ConnectionID(bytes: [1, 2, 3, 4, 5, 6, 7, 8])
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test("The close is said again ever more rarely, and forgotten in time")
    func answers() {
        var closed = ClosedConnections()
        closed.add(ids: [id], packet: [9], until: start + .seconds(1))
        let answers = (1...16).map { _ in closed.answer(to: id)! }
        #expect(answers.indices.filter { answers[$0] == [9] }.map { $0 + 1 } == [1, 2, 4, 8, 16])
        closed.removeExpired(now: start)
        var isKnown = closed.answer(to: id) != nil
        #expect(isKnown)
        closed.removeExpired(now: start + .seconds(1))
        isKnown = closed.answer(to: id) != nil
        #expect(!isKnown)
    }

    @Test("Nothing is said to a peer that closed itself")
    func silence() {
        var closed = ClosedConnections()
        closed.add(ids: [id], packet: [], until: start + .seconds(1))
        let answer = closed.answer(to: id)
        #expect(answer == .some(nil))
    }

    @Test("However many end, a bounded number is remembered: the newest")
    func bounded() {
        var closed = ClosedConnections()
        let ids = (0..<20_000 as Range<UInt16>).map { ConnectionID(bytes: [UInt8($0 >> 8), UInt8($0 & 255)]) }
        for id in ids { closed.add(ids: [id], packet: [], until: start) }
        var remembered: [ConnectionID] = []
        for id in ids where closed.answer(to: id) != nil { remembered.append(id) }
        #expect(remembered == Array(ids.suffix(8192)))
    }
}

@Suite struct Deadlines {
    @Test("The soonest comes first, whatever is added, changed and removed", arguments: 1...10 as ClosedRange<UInt64>)
    func order(seed: UInt64) {
        let pair = Pair()
        var numbers = Numbers(seed)
        let connections = (0..<50).map { _ in pair.dial() }
        var heap = DeadlineHeap()
        var model: [ObjectIdentifier: UInt64] = [:]
        for _ in 0..<1000 {
            let connection = connections.randomElement(using: &numbers)!
            if numbers.next() % 4 == 0 {
                heap.remove(connection)
                model[ObjectIdentifier(connection)] = nil
            } else {
                let deadline = numbers.next() % 1000
                heap.update(connection, to: Instant(nanoseconds: deadline))
                model[ObjectIdentifier(connection)] = deadline
            }
            #expect(heap.first?.deadline.nanoseconds == model.values.min())
        }
        for connection in connections { heap.remove(connection) }
        #expect(heap.first == nil)
    }
}
