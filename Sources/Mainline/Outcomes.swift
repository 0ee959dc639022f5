import Platform

/// How a look-up went.
public struct LookupOutcome: Equatable, Sendable {
    public enum Ending: Equatable, Sendable {
        /// The closest nodes have answered or are dead: what they hold is what the network holds.
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
    /// Nodes that were sent a query.
    public var asked = 0
    /// Those that answered, in the order of their answers.
    public var answers: [Answer] = []
    /// Those that answered and are closest to the target, closest first; at most ``Lookup/width``.
    public var closest: [Contact] = []

    /// What one node had.
    public struct Answer: Equatable, Sendable {
        public enum Holding: Equatable, Sendable {
            case nothing
            /// A valid item, with its sequence.
            case item(sequence: Int64)
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

    /// The different sequences of the valid items, highest first.
    public var sequences: [Int64] {
        Set(answers.compactMap { if case .item(let sequence) = $0.holding { sequence } else { nil } }).sorted(by: >)
    }

    /// What to send a node as `cas`: the sequence that it says it has, 0 when it has nothing, nil when it has no valid item.
    func sequence(at address: SocketAddress) -> Int64? {
        switch answers.last(where: { $0.node.address == address })?.holding {
        case .item(let sequence), .notNewer(let sequence): sequence
        case .nothing: 0
        case .flawed, nil: nil
        }
    }

    /// How many nodes had a valid item.
    public var values: Int { answers.count { if case .item = $0.holding { true } else { false } } }
}

/// How a put went.
public struct PutOutcome: Equatable, Sendable {
    /// The look-up before it, which finds the closest nodes, their tokens, and whether anybody has something newer.
    public var lookup: LookupOutcome
    /// A valid item that is more recent than the one to be stored. Then nothing was stored.
    public var newer: MutableItem?
    /// Valid items of which the item to be stored takes no account, see ``PutBasis``; a newer one is among them. Then nothing was stored.
    public var unmerged: [MutableItem] = []
    /// What each of the closest nodes did, closest first.
    public var nodes: [(node: Contact, result: Result)] = []

    public enum Result: Equatable, Sendable {
        case stored
        /// For example 301 (`cas` mismatch) or 302 (it has a higher sequence).
        case refused(KRPCError)
        case timedOut
    }

    public init(lookup: LookupOutcome, newer: MutableItem? = nil) {
        self.lookup = lookup
        self.newer = newer
    }

    /// How many nodes have stored the item.
    public var stored: Int { nodes.count { $0.result == .stored } }

    public static func == (left: PutOutcome, right: PutOutcome) -> Bool {
        left.lookup == right.lookup && left.newer == right.newer && left.unmerged == right.unmerged
            && left.nodes.elementsEqual(right.nodes) { $0 == $1 }
    }
}
