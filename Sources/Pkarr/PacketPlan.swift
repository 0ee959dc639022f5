/// What would be published, and how it differs from what is.
public struct PacketPlan: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var record: ResourceRecord
        /// Bytes that it takes in the message.
        public var size: Int
        /// Whether it is not published already.
        public var isNew: Bool
    }

    public var entries: [Entry]
    /// Records that are published now and would be no more.
    public var removed: [ResourceRecord]
    /// Fallbacks that differ from what others have published under their names, which is kept instead.
    public var unused: [ResourceRecord]
    /// Bytes of the message.
    public var size: Int

    /// - Parameter live: The newest packet, as far as any is known.
    public init(_ records: [ResourceRecord], fallbacks: [ResourceRecord] = [], live: SignedPacket?) {
        let budget = MessageBudget(DNSMessage(answers: records))
        size = budget.total
        var left = live?.records ?? []
        entries = budget.entries.map { entry in
            let index = left.firstIndex(of: entry.record)
            if let index { left.remove(at: index) }
            return Entry(record: entry.record, size: entry.size, isNew: index == nil)
        }
        removed = left
        unused = fallbacks.filter { !records.contains($0) }
    }
}
