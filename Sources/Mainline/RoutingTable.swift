import Platform

/// The nodes known to answer, in one bucket for each length of prefix shared with our own id (BEP 5; Kademlia).
struct RoutingTable {
    /// Nodes in one bucket; the mainline library's number (spec/pkarr-wire.md, 3.4).
    static let bucketSize = 20
    /// A node that stays silent so many times in a row is forgotten: one lost datagram must not cost a good node its place.
    static let mostFailures = 2
    /// After this time without a word a node has to be asked whether it is still there (BEP 5).
    static let freshness = Duration.seconds(900)

    struct Entry {
        var contact: Contact
        var lastSeen: Instant
        var failures = 0
    }

    let ownID: NodeID
    private var buckets: [[Entry]] = Array(repeating: [], count: 161)

    init(ownID: NodeID) { self.ownID = ownID }

    var count: Int { buckets.reduce(0) { $0 + $1.count } }
    var isEmpty: Bool { buckets.allSatisfy(\.isEmpty) }
    var entries: some Sequence<Entry> { buckets.joined() }

    /// Takes a node that has just answered. A full bucket gives a place only for one that has failed, or that has chosen its id
    /// against BEP 42 while the new one has not.
    mutating func insert(_ contact: Contact, now: Instant) {
        guard contact.id != ownID else { return }
        let index = ownID.commonPrefix(with: contact.id)
        if let known = buckets[index].firstIndex(where: { $0.contact == contact }) {
            buckets[index][known] = Entry(contact: contact, lastSeen: now)
            return
        }
        insert(Entry(contact: contact, lastSeen: now))
    }

    private mutating func insert(_ entry: Entry) {
        let contact = entry.contact, index = ownID.commonPrefix(with: contact.id)
        makeRoom(at: contact.address)
        if buckets[index].count < RoutingTable.bucketSize {
            buckets[index].append(entry)
        } else if let worse = buckets[index].firstIndex(where: { $0.failures > 0 })
            ?? (contact.hasValidID ? buckets[index].firstIndex(where: { !$0.contact.hasValidID }) : nil)
        {
            buckets[index][worse] = entry
        }
    }

    /// Takes a node of an earlier run: the first silence ends its place, and any that answers takes it when the bucket is full.
    mutating func recall(_ contact: Contact) {
        if wants(contact) { insert(Entry(contact: contact, lastSeen: Instant(nanoseconds: 0), failures: RoutingTable.mostFailures - 1)) }
    }

    /// The same nodes as seen from another place.
    func moved(to id: NodeID) -> RoutingTable {
        var table = RoutingTable(ownID: id)
        for entry in mostLikelyAlive where table.wants(entry.contact) { table.insert(entry) }
        return table
    }

    /// All nodes: those that have failed least and answered last come first.
    var mostLikelyAlive: [Entry] { entries.sorted { ($0.failures, $1.lastSeen) < ($1.failures, $0.lastSeen) } }

    /// Whether a node that is not in the table could get a place in it.
    func wants(_ contact: Contact) -> Bool {
        guard contact.id != ownID, contact.address.isUsable else { return false }
        let bucket = buckets[ownID.commonPrefix(with: contact.id)]
        return bucket.count < RoutingTable.bucketSize && !bucket.contains { $0.contact == contact }
    }

    mutating func noteFailure(of contact: Contact) {
        let index = ownID.commonPrefix(with: contact.id)
        guard let known = buckets[index].firstIndex(where: { $0.contact == contact }) else { return }
        buckets[index][known].failures += 1
        if buckets[index][known].failures >= RoutingTable.mostFailures { buckets[index].remove(at: known) }
    }

    mutating func remove(_ contact: Contact) {
        buckets[ownID.commonPrefix(with: contact.id)].removeAll { $0.contact == contact }
    }

    /// The nodes nearest to a target, nearest first.
    func closest(to target: NodeID, count: Int) -> [Contact] {
        Array(buckets.joined().lazy.map(\.contact).map { (distance: $0.id.distance(to: target), contact: $0) }
            .sorted { $0.distance < $1.distance }.prefix(count).map(\.contact))
    }

    /// One address is one node, and outside local networks so is one IP address, or somebody could fill the table from a single one. Of IPv6
    /// he has a whole /64.
    private mutating func makeRoom(at address: SocketAddress) {
        let wholeIP = !address.ip.isLocalNetwork
        for index in buckets.indices where !buckets[index].isEmpty {
            buckets[index].removeAll { $0.contact.address == address || wholeIP && $0.contact.address.ip.site == address.ip.site }
        }
    }
}

extension Contact {
    var hasValidID: Bool { id.isValid(for: address.ip) }
}
