import Crypto
import Pkarr

/// The records of one packet as DNS serves them (RFC 1034, section 4.3.2; RFC 4592). Names are relative to the key and folded.
struct Zone {
    /// What a zone has for a question.
    enum Finding: Equatable {
        /// Records of the type that was asked for.
        case records([ResourceRecord])
        case alias(ResourceRecord, target: DomainName)
        /// The packet leaves what was asked to name servers: their records, and the addresses it has of them.
        case referral(name: DomainName, servers: [ResourceRecord], addresses: [ResourceRecord])
        /// The name exists, without such records.
        case noData
        /// Neither the name nor anything under it exists.
        case noName
    }

    let packet: SignedPacket
    private let sets: [DomainName: [ResourceRecord]]
    /// Names with records and all names above them.
    private let names: Set<DomainName>
    /// Of all records, whether they are served or not; nil without any.
    let smallestTimeToLive: UInt32?

    init(_ packet: SignedPacket) {
        self.packet = packet
        let apex = DomainName(zone: packet.publicKey)
        var sets: [DomainName: [ResourceRecord]] = [:]
        var names: Set<DomainName> = [.root]
        let records = packet.records
        smallestTimeToLive = records.map(\.timeToLive).min()
        for record in records where Zone.serves(record) {
            // A name elsewhere is nothing that this key can speak for.
            guard let name = record.name.folded.removing(suffix: apex) else { continue }
            var plain = record
            plain.name = name
            plain.classField = ResourceRecord.internetClass
            var set = sets[name] ?? []
            Zone.add(plain, to: &set)
            sets[name] = set
            var ancestor: DomainName? = name
            while let present = ancestor, names.insert(present).inserted { ancestor = present.parent }
        }
        self.sets = sets
        self.names = names
    }

    /// Records of the Internet class and of types that stand for data, in their exact form: what else a packet may hold would make clients
    /// refuse the whole answer.
    private static func serves(_ record: ResourceRecord) -> Bool {
        record.classField & ~ResourceRecord.cacheFlushBit == ResourceRecord.internetClass && !record.type.isMeta && record.hasExactForm
    }

    /// The same record twice counts once, and all of a set have its smallest TTL (RFC 2181, sections 5 and 5.2).
    private static func add(_ record: ResourceRecord, to set: inout [ResourceRecord]) {
        var record = record
        for (index, other) in set.enumerated() where other.type == record.type {
            let smaller = min(other.timeToLive, record.timeToLive)
            set[index].timeToLive = smaller
            record.timeToLive = smaller
        }
        if !set.contains(record) { set.append(record) }
    }

    func find(_ name: DomainName, _ type: RecordType) -> Finding {
        if let found = find(at: name, type) { return found }
        var cut: DomainName? = name
        while let place = cut, place != .root {
            if let referral = referral(at: place) { return referral }
            cut = place.parent
        }
        let exists = names.contains(name)
        if !exists, let wildcard = wildcard(for: name) {
            return find(at: wildcard, type) ?? .noData
        }
        // Name servers of the key itself speak for all that its packet lacks, as with pkdns.
        return referral(at: .root) ?? (exists ? .noData : .noName)
    }

    private func find(at name: DomainName, _ type: RecordType) -> Finding? {
        guard let records = sets[name] else { return nil }
        let matching = type == .any ? records : records.filter { $0.type == type }
        if !matching.isEmpty { return .records(matching) }
        guard let alias = records.first(where: { $0.type == .cname }), case .name(let target) = alias.data else { return nil }
        return .alias(alias, target: target)
    }

    private func referral(at name: DomainName) -> Finding? {
        guard let servers = sets[name]?.filter({ $0.type == .ns }), !servers.isEmpty else { return nil }
        let apex = DomainName(zone: packet.publicKey)
        var addresses: [ResourceRecord] = []
        for server in servers {
            guard case .name(let target) = server.data, let relative = target.folded.removing(suffix: apex) else { continue }
            addresses += (sets[relative] ?? []).filter { $0.type == .a || $0.type == .aaaa }
        }
        return .referral(name: name, servers: servers, addresses: addresses)
    }

    /// The wildcard under the closest name above that exists (RFC 4592, section 3.3.1).
    private func wildcard(for name: DomainName) -> DomainName? {
        var closest = name.parent
        while let place = closest, !names.contains(place) { closest = place.parent }
        guard let closest, let wildcard = DomainName.asterisk.followed(by: closest), sets[wildcard] != nil else { return nil }
        return wildcard
    }
}

extension DomainName {
    fileprivate static let asterisk = DomainName(labels: [[0x2a]])!
}

extension RecordType {
    /// Everything at a name.
    static let any = RecordType(rawValue: 255)

    /// Types that stand in questions or in messages for something else than data (RFC 6895, section 3.1).
    var isMeta: Bool { self == .opt || (128...255).contains(rawValue) }
}
