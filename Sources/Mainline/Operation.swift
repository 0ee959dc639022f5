import Platform

/// A look-up, and what follows from it.
struct Operation {
    enum Kind {
        case get(moreRecentThan: Int64?)
        case put(MutableItem, onto: PutBasis?)
        /// Finds nodes for the routing table.
        case refresh
    }

    var kind: Kind
    var lookup: Lookup
    var outcome = LookupOutcome(ending: .complete)
    var startedAt: Instant
    /// The most recent item seen.
    var newest: MutableItem?
    /// Items seen of which the one to be put takes no account.
    var unmerged: [MutableItem] = []
    /// Set once the look-up is over and the item has been sent to the closest nodes.
    var put: PutOutcome?
    /// Nodes that have not yet answered the put, with their place in ``put``.
    var putsUnderWay: [Lookup.Destination: Int] = [:]

    init(_ kind: Kind, target: NodeID, now: Instant) {
        self.kind = kind
        lookup = Lookup(target: target, knowing: [], bootstraps: [])
        startedAt = now
    }

    /// The sequence up to which items are of no interest: what was known, and no more than one less than the item's own, so that
    /// another item of the same sequence is seen too. Nil for none.
    private static func floor(of item: MutableItem, onto basis: PutBasis?) -> Int64? {
        let below = item.sequence - 1
        let floor = basis.map { min($0.previous ?? -1, below) } ?? below
        return floor >= 0 ? floor : nil
    }

    var isLookingUp: Bool { put == nil }

    var query: KRPCQuery {
        switch kind {
        case .get(let moreRecentThan): .get(target: lookup.target, moreRecentThan: moreRecentThan)
        case .put(let item, let basis): .get(target: lookup.target, moreRecentThan: Operation.floor(of: item, onto: basis))
        case .refresh: .findNode(target: lookup.target)
        }
    }
}

