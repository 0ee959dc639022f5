import CQUIC
import Platform

/// A client's first packets that came through a relay. iroh sends them along every path at once and stays where it is first answered
/// (spec/iroh-wire.md, 5.1): those that came the long way wait a moment for their copies, so that the connection becomes a direct one
/// where it can.
struct HeldInitials {
    /// The copies were sent within one millisecond. This covers the difference between a relay nearby and a direct path to the other end of a
    /// continent, and is little beside the three round trips that a connection through a relay takes to begin.
    static let patience: Duration = .milliseconds(30)
    /// Bytes of the id in iroh's first packets, of which there are copies (spec/iroh-wire.md, 3.1).
    static let copiedIDLength = keyhole_quic_largest_cid
    /// Clients, and datagrams of each: a ClientHello fills one or two. What comes beyond is not held but taken at once, or left to be sent again.
    private static let most = 256
    private static let mostDatagrams = 4

    struct Held {
        var id: ConnectionID
        var path: NetworkPath
        var due: Instant
        var datagrams: [(bytes: [UInt8], ecn: UInt8)]
    }

    /// In the order in which they came, and so of when they are due.
    private var entries: [Held] = []

    var deadline: Instant? { entries.first?.due }

    /// Returns whether the datagram is held.
    mutating func add(_ datagram: UnsafeRawBufferPointer, _ id: ConnectionID, on path: NetworkPath, ecn: UInt8, now: Instant) -> Bool {
        if let index = entries.firstIndex(where: { $0.id == id }) {
            guard entries[index].path == path, entries[index].datagrams.count < Self.mostDatagrams else { return true }
            entries[index].datagrams.append((Array(datagram), ecn))
            return true
        }
        guard entries.count < Self.most else { return false }
        entries.append(Held(id: id, path: path, due: now + Self.patience, datagrams: [(Array(datagram), ecn)]))
        return true
    }

    /// Forgets what has come directly.
    mutating func remove(_ id: ConnectionID) { entries.removeAll { $0.id == id } }

    mutating func popDue(now: Instant) -> Held? {
        guard let first = entries.first, first.due <= now else { return nil }
        return entries.removeFirst()
    }
}

extension Endpoint {
    /// Keeps a first packet that came through a relay for a moment; one that came directly has what was kept of its copies forgotten.
    ///
    /// - Returns: Whether it was kept.
    func hold(_ datagram: UnsafeRawBufferPointer, _ id: ConnectionID, on path: NetworkPath, ecn: UInt8, now: Instant) -> Bool {
        guard acceptor != nil, expectsCopies, id.length == HeldInitials.copiedIDLength else { return false }
        if path.isRelayed { return held.add(datagram, id, on: path, ecn: ecn, now: now) }
        held.remove(id)
        return false
    }

    /// Takes what no direct copy has come of.
    func acceptHeld(now: Instant) {
        while let one = held.popDue(now: now) {
            for (bytes, ecn) in one.datagrams { bytes.withUnsafeBytes { take($0, on: one.path, ecn: ecn, mayHold: false, now: now) } }
        }
    }
}
