import Platform

/// The items that a node keeps for others (BEP 44), bounded in memory: what was not asked for or written for longest goes first. With an
/// archive, what is stored survives that and the process. The nodes of a process, one for each family of addresses, share it.
final class ItemStore {
    enum Item: Equatable, Sendable {
        /// A bencoded value.
        case immutable([UInt8])
        case mutable(MutableItem)

        var encodedValue: [UInt8] {
            switch self {
            case .immutable(let value): value
            case .mutable(let item): item.encodedValue
            }
        }
    }

    /// What an item costs beyond its value: key, salt, signature, array headers and its place in the dictionary.
    static let bytesPerItem = 512

    /// Items that nobody announces any more expire after this long; who wants his to stay announces it each hour (BEP 44).
    static let lifetime = Duration.seconds(7200)

    private struct Slot {
        var item: Item
        var lastUse: UInt64
        var expiresAt: Instant
    }

    private var slots: [NodeID: Slot] = [:]
    private var uses: UInt64 = 0
    private(set) var bytes = 0
    let capacity: Int
    var archive: (any Archive)?

    /// - Parameter capacity: Bytes of memory, about.
    init(capacity: Int) { self.capacity = capacity }

    /// Items in memory.
    var count: Int { slots.count }

    /// The item, which counts as a use.
    func item(at target: NodeID, now: Instant) -> Item? {
        if slots[target] == nil { recall(target, now: now) }
        guard let slot = slots[target] else { return nil }
        if now >= slot.expiresAt {
            remove(target)
            archive?.drop(target.bytes)
            return nil
        }
        uses += 1
        slots[target]!.lastUse = uses
        return slot.item
    }

    /// Brings an item back from the archive, where anything may have happened to it.
    private func recall(_ target: NodeID, now: Instant) {
        guard let (bytes, age) = archive?.value(for: target.bytes) else { return }
        guard age < ItemStore.lifetime, let item = Item(archived: bytes, target: target) else {
            archive?.drop(target.bytes)
            return
        }
        set(item, at: target, until: now + (ItemStore.lifetime - age))
    }

    /// Stores what a put query brings after BEP 44's checks, in the mainline library's order: `cas`, sequence, signature.
    ///
    /// At the same sequence the larger value stays, whichever came first, so that all nodes end up with the same.
    func store(_ put: KRPCPut, now: Instant) -> KRPCError? {
        switch put {
        case .immutable(let value): keep(.immutable(value), at: put.target, now: now)
        case .mutable(let item, let cas):
            var present: MutableItem?
            if case .mutable(let stored) = self.item(at: put.target, now: now) { present = stored }
            if let present {
                if let cas, cas != present.sequence { return KRPCError(code: KRPCError.casMismatchCode, text: "CAS mismatch") }
                guard item.sequence >= present.sequence else {
                    return KRPCError(code: KRPCError.sequenceTooOldCode, text: "old sequence number")
                }
            }
            guard item.isSignatureValid else { return KRPCError(code: KRPCError.badSignatureCode, text: "invalid signature") }
            keep(.mutable(present.map { $0.isMoreRecent(than: item) ? $0 : item } ?? item), at: put.target, now: now)
        }
        return nil
    }

    private func keep(_ item: Item, at target: NodeID, now: Instant) {
        set(item, at: target, until: now + ItemStore.lifetime)
        archive?.keep(item.archived, for: target.bytes, age: .zero)
    }

    private func set(_ item: Item, at target: NodeID, until expiresAt: Instant) {
        uses += 1
        bytes += ItemStore.cost(item)
        if let old = slots.updateValue(Slot(item: item, lastUse: uses, expiresAt: expiresAt), forKey: target) { bytes -= ItemStore.cost(old.item) }
        if bytes > capacity { evict() }
    }

    private func remove(_ target: NodeID) {
        if let slot = slots.removeValue(forKey: target) { bytes -= ItemStore.cost(slot.item) }
    }

    /// Drops the least recently used eighth at once, so that a full store does not sort itself for each put.
    private func evict() {
        for (target, slot) in slots.sorted(by: { $0.value.lastUse < $1.value.lastUse }) where bytes > capacity / 8 * 7 {
            slots[target] = nil
            bytes -= ItemStore.cost(slot.item)
        }
    }

    private static func cost(_ item: Item) -> Int { item.encodedValue.count + bytesPerItem }
}
