import Platform

/// What is left of connections that have ended: for three probe time-outs their ids still belong to them (RFC 9000, section 10.2), so
/// that late packets neither open a ghost connection nor are answered with a reset.
struct ClosedConnections {
    private final class Remains {
        let ids: [ConnectionID]
        /// Our CONNECTION_CLOSE, said again to a peer that has not heard it; empty when the peer closed.
        let packet: [UInt8]
        let until: Instant
        var arrived = 0

        init(ids: [ConnectionID], packet: [UInt8], until: Instant) {
            self.ids = ids
            self.packet = packet
            self.until = until
        }
    }

    /// At most this many, some 500 bytes each; beyond, the oldest go early.
    private static let most = 8192

    private var remains: [ConnectionID: Remains] = [:]
    /// In order of their closing; the ones before `head` have been dealt with.
    private var order: [Remains] = []
    private var head = 0

    mutating func add(ids: Set<ConnectionID>, packet: [UInt8], until: Instant) {
        let one = Remains(ids: Array(ids), packet: packet, until: until)
        for id in ids { remains[id] = one }
        order.append(one)
        if order.count - head > Self.most { removeOldest() }
    }

    /// Whether the id is of a closed connection; then with what to answer, if anything. Each answer takes twice as many packets as the one
    /// before, so that two closing endpoints do not keep each other awake.
    mutating func answer(to id: ConnectionID) -> [UInt8]?? {
        guard let one = remains[id] else { return nil }
        one.arrived += 1
        let isPowerOfTwo = one.arrived & (one.arrived - 1) == 0
        return .some(isPowerOfTwo && !one.packet.isEmpty ? one.packet : nil)
    }

    mutating func removeExpired(now: Instant) {
        // Their times differ a little, so one that expires out of order waits for those before it: harmless.
        while head < order.count, order[head].until <= now { removeOldest() }
    }

    private mutating func removeOldest() {
        for id in order[head].ids { remains[id] = nil }
        head += 1
        if head > 1024 || head == order.count {
            order.removeFirst(head)
            head = 0
        }
    }
}
