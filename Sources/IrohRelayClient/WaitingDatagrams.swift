import Iroh
import Platform

/// Datagrams that wait for a connection to the relay.
struct WaitingDatagrams {
    struct Batch {
        var bytes: [UInt8]
        var segmentSize: Int
        var id: EndpointID
        var ecn: UInt8
        var since: Instant
    }

    private var batches: [Batch] = []

    /// Adds datagrams. The oldest go when there are too many: QUIC has sent them anew.
    mutating func add(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, to id: EndpointID, ecn: UInt8, now: Instant) {
        if batches.count == RelaySendLimits.waiting { batches.removeFirst() }
        batches.append(Batch(bytes: Array(bytes), segmentSize: segmentSize, id: id, ecn: ecn, since: now))
    }

    /// Takes all that are not too old.
    mutating func take(now: Instant) -> [Batch] {
        defer { batches = [] }
        return batches.filter { now - $0.since <= RelaySendLimits.waitingTime }
    }
}
