import Platform

/// One iterative look-up: asks the closest nodes it knows for closer ones until the closest have answered or are dead.
///
/// One for reading ends with the ``sufficient`` closest when most of them agree, which is where libtorrent stores and ends; a put, and a
/// reader who finds them at odds, go on to the ``width`` closest.
///
/// All fresh nodes among the ``width`` closest are asked at once, as the mainline library does, unless the network is so fast that
/// answers come before the last query is out. A node that takes longer than nodes
/// of this network usually do no longer holds the others up (``stalled(_:)``), so a dead node costs a few round trips, not a
/// time-out. Every list is bounded, so that a crowd of invented nodes can neither fill memory nor keep a look-up going.
struct Lookup {
    /// How many of the closest nodes have to answer, and get an item put: the mainline library's number (spec/pkarr-wire.md, 3.4).
    static let width = 20
    /// Nodes that get an item put at most, however many somebody has crowded around its place (spec/pkarr-wire.md, 3.4).
    static let mostNodes = 255
    /// Queries in all. An honest look-up in the public network takes 40 to 80.
    static let mostQueries = 400
    /// Candidates kept; those farthest away are dropped.
    private static let mostCandidates = 320
    /// Addresses that are remembered so as not to be taken twice.
    private static let mostKnown = 4096
    /// Contacts taken from one answer: no node needs to name more.
    private static let mostPerAnswer = 20
    /// Nodes that share an IP address, or an IPv6 /64, where it is not a local one. BEP 42 allows one address eight places.
    private static let mostPerIP = 3
    /// With so many answers a look-up needs nobody in particular: as many nodes as libtorrent, most of the public DHT, stores an item at.
    /// With fewer each counts, and those that stay silent are asked once more.
    static let sufficient = 8

    /// How far around the target nodes matter, see ``NetworkSize``.
    struct Reach {
        var distance: NodeID.Distance
        /// The ``sufficient``-th closest is nearer than this by chance once in two hundred times.
        var crowded: NodeID.Distance
        /// Parts of the Internet, see ``Platform/IPAddress/network``.
        var networks: Int
    }

    enum State: Equatable { case fresh, asked, stalled, dead, answered }

    struct Candidate {
        var contact: Contact
        var state = State.fresh
        var wasRetried = false
        var token: [UInt8]?
        fileprivate var rank: Rank
    }

    /// Nodes whose id is not theirs by BEP 42 come last, as in the mainline library.
    fileprivate struct Rank: Comparable {
        var isInvalid: Bool
        var distance: NodeID.Distance

        static func < (left: Rank, right: Rank) -> Bool {
            left.isInvalid != right.isInvalid ? right.isInvalid : left.distance < right.distance
        }
    }

    /// An address whose id is not known until it answers.
    private struct Bootstrap {
        var state = State.fresh
        var wasRetried = false
    }

    /// Whom to ask next.
    struct Destination: Hashable {
        var address: SocketAddress
        var id: NodeID?
    }

    let target: NodeID
    private(set) var candidates: [Candidate] = []
    private var bootstraps: [SocketAddress: Bootstrap] = [:]
    /// Bootstrap addresses that are only turned to when those who are known turn out to be too few.
    private var reserve: [SocketAddress]
    private var known: Set<SocketAddress> = []
    private var perIP: [IPAddress: Int] = [:]
    private(set) var queries = 0
    /// Nil as long as the size of the network is not known: then the closest ``width`` are all that matter.
    var reach: Reach?
    /// Whether only the closest ``sufficient`` have to answer, for the time being.
    private(set) var isNarrow = false

    /// - Parameters:
    ///   - contacts: Nodes that have answered before.
    ///   - addresses: Where to begin when those are too few or don't answer.
    init(target: NodeID, knowing contacts: [Contact], bootstraps addresses: [SocketAddress]) {
        self.target = target
        reserve = addresses
        add(contacts[...])
    }

    /// Begins with the closest ``sufficient``, see ``Operation/closestAgree``.
    mutating func narrow() { isNarrow = true }

    /// Goes as far as a put does.
    mutating func widen() { isNarrow = false }

    mutating func add(bootstraps addresses: [SocketAddress]) { reserve += addresses }

    mutating func add(contacts: [Contact]) { add(contacts[...]) }

    /// Takes the nodes that have not been asked yet and are worth asking; they count as asked.
    ///
    /// - Parameter limit: Nodes that may owe an answer at the same time.
    mutating func takeQueries(limit: Int) -> [Destination] {
        var destinations: [Destination] = []
        var room = limit - candidates.count { $0.state == .asked }
        if !reserve.isEmpty, needsBootstraps {
            for address in reserve where known.insert(address).inserted { bootstraps[address] = Bootstrap() }
            reserve = []
        }
        for address in bootstraps.keys where bootstraps[address]!.state == .fresh && queries < Lookup.mostQueries {
            bootstraps[address]!.state = .asked
            queries += 1
            destinations.append(Destination(address: address, id: nil))
        }
        for index in window where candidates[index].state == .fresh && queries < Lookup.mostQueries && room > 0 {
            candidates[index].state = .asked
            room -= 1
            queries += 1
            destinations.append(Destination(address: candidates[index].contact.address, id: candidates[index].contact.id))
        }
        return destinations
    }

    /// Takes the nodes to be asked once more, see ``sufficient``: a query may have been lost on its way, or may not have been understood.
    mutating func takeRetries() -> [Destination] {
        guard responders < Lookup.sufficient, queries < Lookup.mostQueries, !isAwaitingAnybody else { return [] }
        var destinations: [Destination] = []
        for index in candidates.indices where candidates[index].state == .stalled && !candidates[index].wasRetried {
            guard destinations.count < Lookup.width else { break }
            candidates[index].state = .asked
            candidates[index].wasRetried = true
            destinations.append(Destination(address: candidates[index].contact.address, id: candidates[index].contact.id))
        }
        for (address, bootstrap) in bootstraps where responders == 0 && bootstrap.state == .stalled && !bootstrap.wasRetried {
            bootstraps[address] = Bootstrap(state: .asked, wasRetried: true)
            destinations.append(Destination(address: address, id: nil))
        }
        queries += destinations.count
        return destinations
    }

    private var isAwaitingAnybody: Bool {
        window.contains { candidates[$0].state != .answered } || bootstraps.values.contains { $0.state == .fresh || $0.state == .asked }
    }

    /// Nodes that are known may have gone since, above all when they are known from another run.
    private var needsBootstraps: Bool {
        var living = 0
        var isAnybodySilent = false
        for candidate in candidates {
            switch candidate.state {
            case .answered: living += 1
            case .fresh, .asked: living += 1
            case .stalled, .dead: isAnybodySilent = true
            }
        }
        return living < Lookup.width || isAnybodySilent && responders == 0
    }

    /// Nothing more is expected from anybody who matters.
    var isFinished: Bool {
        let pending: [State] = responders == 0 ? [.fresh, .asked, .stalled] : [.fresh, .asked]
        let window = window
        guard window.allSatisfy({ candidates[$0].state == .answered }) else { return false }
        // Once enough nodes have answered, a dead bootstrap node is no reason to wait.
        if window.count >= need { return true }
        return !bootstraps.values.contains { pending.contains($0.state) } && (responders > 0 || !candidates.contains { pending.contains($0.state) })
    }

    /// All queries are spent, and all that were sent have come to something.
    var isExhausted: Bool {
        queries >= Lookup.mostQueries && !candidates.contains { $0.state == .asked } && !bootstraps.values.contains { $0.state == .asked }
    }

    /// An answer has come. What counts is the id that the node itself gives, not the one that others have given it.
    mutating func answered(_ destination: Destination, by contact: Contact, token: [UInt8]?, naming nodes: [Contact]) {
        if destination.id == nil {
            bootstraps[destination.address]?.state = .answered
        } else if destination.id != contact.id {
            change(destination, to: .dead, from: [.asked, .stalled])
        }
        let index = candidates.firstIndex { $0.contact == contact } ?? insert(contact)
        candidates[index].state = .answered
        candidates[index].token = token
        add(nodes.prefix(Lookup.mostPerAnswer))
    }

    /// A node takes longer than others do: the look-up goes on without it.
    mutating func stalled(_ destination: Destination) { change(destination, to: .stalled, from: [.asked]) }

    /// It turns out that others take as long.
    mutating func resumed(_ destination: Destination) { change(destination, to: .asked, from: [.stalled]) }

    /// A node has not answered in all the time it had.
    mutating func failed(_ destination: Destination, isRetry: Bool) {
        // The second query has more time.
        if !isRetry, wasRetried(destination) { return }
        change(destination, to: .dead, from: [.asked, .stalled])
    }

    /// The closest nodes that have answered.
    var closestResponders: [Candidate] { Array(candidates.lazy.filter { $0.state == .answered }.prefix(Lookup.width)) }

    private var responders: Int { candidates.count { $0.state == .answered } }

    /// The nodes that have answered and are to get the item: the closest, and all others that are nearer than so many can be by chance.
    var storers: [Candidate] {
        var networks: Set<UInt64> = []
        var storers: [Candidate] = []
        for candidate in candidates where candidate.state == .answered && storers.count < Lookup.mostNodes {
            if storers.count >= Lookup.width, !isWithinReach(candidate), networks.count >= reach?.networks ?? 0 { break }
            networks.insert(candidate.contact.address.ip.network)
            storers.append(candidate)
        }
        return storers
    }

    private func isWithinReach(_ candidate: Candidate) -> Bool {
        guard let reach else { return false }
        return !candidate.rank.isInvalid && candidate.rank.distance < reach.distance
    }

    /// Whether those that have answered are nearer to the target than they can be by chance.
    var isCrowded: Bool {
        guard let reach, let last = closestResponders.prefix(Lookup.sufficient).last else { return false }
        return !last.rank.isInvalid && last.rank.distance < reach.crowded
    }

    /// How many of the closest have to answer.
    private var need: Int { isNarrow ? Lookup.sufficient : Lookup.width }

    /// The candidates that matter and are alive as far as is known.
    private var window: [Int] {
        var window: [Int] = []
        window.reserveCapacity(Lookup.width)
        for index in candidates.indices where candidates[index].state != .dead && candidates[index].state != .stalled {
            if window.count >= need, isNarrow || window.count >= Lookup.mostNodes || !isWithinReach(candidates[index]) { break }
            window.append(index)
        }
        return window
    }

    private func wasRetried(_ destination: Destination) -> Bool {
        guard let id = destination.id else { return bootstraps[destination.address]?.wasRetried ?? false }
        return candidates.contains { $0.wasRetried && $0.contact == Contact(id: id, address: destination.address) }
    }

    private mutating func change(_ destination: Destination, to state: State, from allowed: [State]) {
        if destination.id == nil {
            if let present = bootstraps[destination.address]?.state, allowed.contains(present) {
                bootstraps[destination.address]!.state = state
            }
        } else if let index = candidates.firstIndex(where: { $0.contact.address == destination.address && $0.contact.id == destination.id }),
            allowed.contains(candidates[index].state)
        {
            candidates[index].state = state
        }
    }

    private mutating func add(_ contacts: ArraySlice<Contact>) {
        for contact in contacts where known.count < Lookup.mostKnown && !known.contains(contact.address) {
            let ip = contact.address.ip.site
            guard contact.address.ip.isLocalNetwork || perIP[ip, default: 0] < Lookup.mostPerIP else { continue }
            known.insert(contact.address)
            perIP[ip, default: 0] += 1
            insert(contact)
        }
        while candidates.count > Lookup.mostCandidates, let last = candidates.lastIndex(where: { $0.state == .fresh || $0.state == .dead }) {
            candidates.remove(at: last)
        }
    }

    @discardableResult
    private mutating func insert(_ contact: Contact) -> Int {
        let rank = Rank(isInvalid: !contact.hasValidID, distance: contact.id.distance(to: target))
        let place = candidates.firstIndex { rank < $0.rank } ?? candidates.endIndex
        candidates.insert(Candidate(contact: contact, rank: rank), at: place)
        return place
    }
}
