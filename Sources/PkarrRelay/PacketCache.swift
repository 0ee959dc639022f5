import Crypto
import Pkarr
import Platform

/// The packets that a relay has seen last, a bounded number of them in memory. With an archive, more of them, and beyond the process.
struct PacketCache {
    /// A packet with when it was last seen in the DHT.
    struct Entry: Equatable, Sendable {
        var packet: SignedPacket
        /// Microseconds since 1970.
        var lastSeen: UInt64
    }

    /// Seconds for which a packet counts as fresh, whatever its records say (spec/pkarr-wire.md, 1.7).
    static let lifetimes: ClosedRange<UInt32> = 300...86400

    private var entries: RecentlyUsed<PublicKey, Entry>
    private let archive: (any Archive)?

    /// - Parameter capacity: Most packets kept. Each takes some 1.5 KB.
    init(capacity: Int, archive: (any Archive)? = nil) {
        entries = RecentlyUsed(capacity: capacity)
        self.archive = archive
    }

    /// Packets in memory.
    var count: Int { entries.count }

    /// - Parameter now: Microseconds since 1970, as all times here.
    mutating func entry(for key: PublicKey, now: UInt64) -> Entry? {
        if let entry = entries.value(for: key) { return entry }
        guard let entry = recalled(key, now: now) else { return nil }
        entries.set(entry, for: key)
        return entry
    }

    /// A packet from the archive, where anything may have happened to it: key and signature are checked again.
    private func recalled(_ key: PublicKey, now: UInt64) -> Entry? {
        guard let (payload, age) = archive?.value(for: key.bytes) else { return nil }
        guard let packet = try? SignedPacket(publicKey: key, payload: payload) else {
            archive?.drop(key.bytes)
            return nil
        }
        return Entry(packet: packet, lastSeen: now - min(now, UInt64(max(0, age.nanoseconds / 1000))))
    }

    /// Takes a packet that was seen in the DHT, unless a more recent one is here.
    mutating func note(_ packet: SignedPacket, seenAt time: UInt64) {
        if let present = entry(for: packet.publicKey, now: time), present.packet.isMoreRecent(than: packet) { return }
        entries.set(Entry(packet: packet, lastSeen: time), for: packet.publicKey)
        archive?.keep(packet.payload, for: packet.publicKey.bytes, age: .zero)
    }
}

extension SignedPacket {
    /// Seconds for which the packet may be kept: its smallest record TTL within the cache's bounds, the lower bound without records.
    var lifetime: UInt32 {
        let smallest = records.map(\.timeToLive).min() ?? 0
        return min(max(smallest, PacketCache.lifetimes.lowerBound), PacketCache.lifetimes.upperBound)
    }
}

extension PacketCache.Entry {
    func isFresh(at time: UInt64) -> Bool { time < lastSeen + UInt64(packet.lifetime) * 1_000_000 }
}
