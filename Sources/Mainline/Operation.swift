import Platform

/// A look-up, and what follows from it.
struct Operation {
    enum Kind {
        case get(moreRecentThan: Int64?)
        case put(MutableItem, cas: Int64?)
        /// Finds nodes for the routing table.
        case refresh
    }

    var kind: Kind
    var lookup: Lookup
    var outcome = LookupOutcome(ending: .complete)
    var startedAt: Instant
    /// The most recent item seen.
    var newest: MutableItem?
    /// Set once the look-up is over and the item has been sent to the closest nodes.
    var put: PutOutcome?
    /// Nodes that have not yet answered the put, with their place in ``put``.
    var putsUnderWay: [Lookup.Destination: Int] = [:]

    init(_ kind: Kind, target: NodeID, now: Instant) {
        self.kind = kind
        lookup = Lookup(target: target, knowing: [], bootstraps: [])
        startedAt = now
    }

    var isLookingUp: Bool { put == nil }

    var query: KRPCQuery {
        switch kind {
        case .get(let moreRecentThan): .get(target: lookup.target, moreRecentThan: moreRecentThan)
        // One less, so that another item of the same sequence is seen too.
        case .put(let item, _): .get(target: lookup.target, moreRecentThan: item.sequence > 0 ? item.sequence - 1 : nil)
        case .refresh: .findNode(target: lookup.target)
        }
    }
}

