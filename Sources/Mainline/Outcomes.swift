import Platform

/// How a look-up went.
public struct LookupOutcome: Equatable, Sendable {
    public enum Ending: Equatable, Sendable {
        /// The closest nodes have answered or are dead: what they hold is what the network holds. For a get these are the eight closest if
        /// most of them hold the newest item, else the twenty closest, as for a put.
        case complete
        /// There was nobody to ask: no bootstrap address, or none of their names could be resolved.
        case nobodyToAsk
        /// Everybody asked stayed silent.
        case noAnswer
        /// The limit of time or of queries came first, as with a network of hostile nodes; what was found is valid all the same.
        case limited
        case cancelled
        /// Too many look-ups are under way in this process.
        case overloaded
    }

    public var ending: Ending
    /// Queries that were sent. A silent bootstrap node gets more than one.
    public var asked = 0
    /// Every node that was asked, in the order of asking, with what came of it. A server stands there itself when it holds the item.
    public var nodes: [Node] = []
    /// Those that answered and are closest to the target, closest first; at most ``Lookup/width`` of each network.
    public var closest: [Contact] = []

    /// One node that was asked.
    public struct Node: Equatable, Sendable {
        public var address: SocketAddress
        /// As the node itself gives it; before it has answered, as others do. Nil for a bootstrap node that has not answered.
        public var id: NodeID?
        /// From the query to its answer; nil without one, zero for the node of this process.
        public var roundTrip: Duration?
        /// It took so much longer than nodes usually do that the look-up had already gone on without it.
        public var isLate = false
        public var finding: Finding

        public init(address: SocketAddress, id: NodeID?, roundTrip: Duration? = nil, isLate: Bool = false, finding: Finding) {
            self.address = address
            self.id = id
            self.roundTrip = roundTrip
            self.isLate = isLate
            self.finding = finding
        }
    }

    /// What came of asking one node.
    public enum Finding: Equatable, Sendable {
        /// It answered.
        case holding(Answer.Holding)
        /// It answered with an error message.
        case refused(KRPCError)
        /// It stayed silent for all the time that a query is given.
        case timedOut
        /// The look-up ended before the node had answered and before its time was up.
        case notAwaited
    }

    /// What one node had.
    public struct Answer: Equatable, Sendable {
        public enum Holding: Equatable, Sendable {
            case nothing
            /// A valid item of the target.
            case item(MutableItem)
            /// It says that it has nothing newer than was asked for. Not signed, so nothing proves it.
            case notNewer(sequence: Int64)
            /// An item that is none of this target's.
            case flawed(ItemFlaw)
        }
        public var node: Contact
        public var holding: Holding

        public init(node: Contact, holding: Holding) {
            self.node = node
            self.holding = holding
        }
    }

    public init(ending: Ending) { self.ending = ending }

    /// The nodes that answered.
    public var answers: [Answer] {
        nodes.compactMap { node in
            guard let id = node.id, case .holding(let holding) = node.finding else { return nil }
            return Answer(node: Contact(id: id, address: node.address), holding: holding)
        }
    }

    /// Whether any node answered.
    public var hasAnswers: Bool { nodes.contains { if case .holding = $0.finding { true } else { false } } }

    /// The different sequences of the valid items, highest first.
    public var sequences: [Int64] {
        Set(nodes.compactMap { if case .holding(.item(let item)) = $0.finding { item.sequence } else { nil } }).sorted(by: >)
    }

    /// What to send a node as `cas`: the sequence that it says it has, 0 when it has nothing, nil when it has no valid item.
    func sequence(at address: SocketAddress) -> Int64? {
        guard case .holding(let holding)? = nodes.last(where: { $0.address == address })?.finding else { return nil }
        switch holding {
        case .item(let item): return item.sequence
        case .notNewer(let sequence): return sequence
        case .nothing: return 0
        case .flawed: return nil
        }
    }

    /// How many nodes had a valid item.
    public var values: Int { nodes.count { if case .holding(.item) = $0.finding { true } else { false } } }
}

/// How a put went.
public struct PutOutcome: Equatable, Sendable {
    /// The look-up before it, which finds the closest nodes, their tokens, and whether anybody has something newer.
    public var lookup: LookupOutcome
    /// A valid item that is more recent than the one to be stored. Then nothing was stored in the network where it is.
    public var newer: MutableItem?
    /// Valid items of which the item to be stored takes no account, see ``PutBasis``; a newer one is among them. Then nothing was stored in
    /// the network where they are.
    public var unmerged: [MutableItem] = []
    /// What each of the closest nodes did, closest first.
    public var nodes: [Node] = []

    /// One node that was sent the item.
    public struct Node: Equatable, Sendable {
        public var node: Contact
        public var result: Result
        /// From the put to its answer; nil without one, zero for the node of this process.
        public var roundTrip: Duration?

        public init(node: Contact, result: Result, roundTrip: Duration? = nil) {
            self.node = node
            self.result = result
            self.roundTrip = roundTrip
        }
    }

    public enum Result: Equatable, Sendable {
        case stored
        /// For example 301 (`cas` mismatch) or 302 (it has a higher sequence), see ``isConflict``.
        case refused(KRPCError)
        case timedOut

        /// Whether the node says that it has something else.
        public var isConflict: Bool { if case .refused(let error) = self { error.isConflict } else { false } }
    }

    public init(lookup: LookupOutcome, newer: MutableItem? = nil) {
        self.lookup = lookup
        self.newer = newer
    }

    /// How many nodes have stored the item.
    public var stored: Int { nodes.count { $0.result == .stored } }

    /// The nodes that have refused the item because of another that they hold, be it a single one: nothing proves it, but where they
    /// are honest a look-up shows which.
    public var conflicts: [Node] { nodes.filter(\.result.isConflict) }
}

// Two networks are asked at the same time where there is IPv6 beside IPv4 (BEP 32), and what came of both is told as one.

extension LookupOutcome {
    /// What came of one look-up in several networks. One that is complete somewhere is complete: where nobody is, nothing is missed.
    ///
    /// - Parameter outcomes: At least one.
    public init(of outcomes: [LookupOutcome]) {
        let rank: [Ending] = [.complete, .limited, .noAnswer, .overloaded, .cancelled, .nobodyToAsk]
        self.init(ending: rank.first { ending in outcomes.contains { $0.ending == ending } } ?? .nobodyToAsk)
        asked = outcomes.reduce(0) { $0 + $1.asked }
        nodes = outcomes.flatMap(\.nodes)
        closest = outcomes.flatMap(\.closest)
    }
}

extension PutOutcome {
    /// What came of one put in several networks.
    ///
    /// - Parameter outcomes: At least one.
    public init(of outcomes: [PutOutcome]) {
        self.init(lookup: LookupOutcome(of: outcomes.map(\.lookup)))
        newer = outcomes.compactMap(\.newer).max { $1.isMoreRecent(than: $0) }
        for item in outcomes.flatMap(\.unmerged) where !unmerged.contains(item) { unmerged.append(item) }
        nodes = outcomes.flatMap(\.nodes)
    }
}
