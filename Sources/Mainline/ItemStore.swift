/// The items that a node keeps for others (BEP 44), bounded in memory: what was not asked for or written for longest goes first.
struct ItemStore {
    enum Item: Equatable {
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

    private struct Slot {
        var item: Item
        var lastUse: UInt64
    }

    private var slots: [NodeID: Slot] = [:]
    private var uses: UInt64 = 0
    private(set) var bytes = 0
    let capacity: Int

    /// - Parameter capacity: Bytes of memory, about.
    init(capacity: Int) { self.capacity = capacity }

    var count: Int { slots.count }

    /// The item, which counts as a use.
    mutating func item(at target: NodeID) -> Item? {
        guard let item = slots[target]?.item else { return nil }
        uses += 1
        slots[target]!.lastUse = uses
        return item
    }

    /// Stores what a put query brings after BEP 44's checks, in the mainline library's order: `cas`, sequence, signature.
    ///
    /// At the same sequence the larger value stays, whichever came first, so that all nodes end up with the same.
    mutating func store(_ put: KRPCPut) -> KRPCError? {
        switch put {
        case .immutable(let value): set(.immutable(value), at: put.target)
        case .mutable(let item, let cas):
            var present: MutableItem?
            if case .mutable(let stored) = slots[put.target]?.item { present = stored }
            if let present {
                if let cas, cas != present.sequence { return KRPCError(code: KRPCError.casMismatchCode, text: "CAS mismatch") }
                guard item.sequence >= present.sequence else {
                    return KRPCError(code: KRPCError.sequenceTooOldCode, text: "old sequence number")
                }
            }
            guard item.isSignatureValid else { return KRPCError(code: KRPCError.badSignatureCode, text: "invalid signature") }
            set(.mutable(present.map { $0.isMoreRecent(than: item) ? $0 : item } ?? item), at: put.target)
        }
        return nil
    }

    private mutating func set(_ item: Item, at target: NodeID) {
        uses += 1
        bytes += ItemStore.cost(item)
        if let old = slots.updateValue(Slot(item: item, lastUse: uses), forKey: target) { bytes -= ItemStore.cost(old.item) }
        if bytes > capacity { evict() }
    }

    /// Drops the least recently used eighth at once, so that a full store does not sort itself for each put.
    private mutating func evict() {
        for (target, slot) in slots.sorted(by: { $0.value.lastUse < $1.value.lastUse }) where bytes > capacity / 8 * 7 {
            slots[target] = nil
            bytes -= ItemStore.cost(slot.item)
        }
    }

    private static func cost(_ item: Item) -> Int { item.encodedValue.count + bytesPerItem }
}
