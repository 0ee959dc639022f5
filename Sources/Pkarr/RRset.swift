/// What records of one set have in common (RFC 2181, section 5): they are replaced together. All of pkarr is one class.
public struct RRset: Hashable, Sendable {
    public var name: DomainName
    public var type: RecordType

    public init(name: DomainName, type: RecordType) {
        self.name = name
        self.type = type
    }
}

extension ResourceRecord {
    /// The set it belongs to.
    public var set: RRset { RRset(name: name, type: type) }
}

extension [ResourceRecord] {
    var sets: Set<RRset> { Set(map(\.set)) }

    /// Whether these are the same records, in any order.
    func hasSameRecords(as other: [ResourceRecord]) -> Bool {
        guard count == other.count else { return false }
        var counts: [ResourceRecord: Int] = [:]
        for record in self { counts[record, default: 0] += 1 }
        for record in other { counts[record, default: 0] -= 1 }
        return counts.values.allSatisfy { $0 == 0 }
    }
}
