import Platform

/// A look-up, and what follows from it.
struct Operation {
    enum Kind {
        case get(moreRecentThan: Int64?)
        case put(MutableItem, onto: PutBasis?)
        /// Finds nodes for the routing table.
        case refresh
        /// Finds out how large the network is, see ``NetworkSize``.
        case survey
    }

    var kind: Kind
    var lookup: Lookup
    var outcome = LookupOutcome(ending: .complete)
    var startedAt: Instant
    /// Whether it is to be known of everybody what he has: also those are waited for whose answers the look-up does not need, and asked where
    /// a put would go.
    var awaitsAll = false
    /// The most recent item seen.
    var newest: MutableItem?
    /// Items seen of which the one to be put takes no account.
    var unmerged: [MutableItem] = []
    /// Set once the look-up is over and the item has been sent to the closest nodes.
    var put: PutOutcome?
    /// The places in ``put`` of the nodes that have not answered yet.
    var putsUnderWay: Set<Int> = []

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

    /// Whether it matters that somebody may have crowded the target with nodes of his own, and whether there is a crowd at all.
    var mayBeSurrounded: Bool {
        guard lookup.candidates.count > Lookup.width else { return false }
        switch kind {
        case .put: return true
        case .get: return awaitsAll || newest == nil && lookup.isFinished
        case .refresh, .survey: return false
        }
    }

    /// Whether a look-up that is over with the closest few may end there: most of them hold the newest item, and nobody has crowded around
    /// them. What is missing at such nodes is missing everywhere, since whoever puts an item puts it at them first.
    var closestAgree: Bool {
        guard let newest, !lookup.isCrowded else { return false }
        let holders = Set(outcome.nodes.lazy.filter { $0.finding == .holding(.item(newest)) }.map(\.address))
        return lookup.closestResponders.prefix(Lookup.sufficient).count { holders.contains($0.contact.address) } * 2 > Lookup.sufficient
    }

    /// Nothing more is to come that is waited for.
    var isFinished: Bool { lookup.isFinished && !(awaitsAll && outcome.nodes.contains { $0.finding == .notAwaited }) }

    /// Where the outcome tells of a node that is about to be asked.
    mutating func place(of destination: Lookup.Destination, isRetry: Bool = false) -> Int {
        if isRetry, let place = outcome.nodes.firstIndex(where: { $0.address == destination.address }) { return place }
        outcome.nodes.append(LookupOutcome.Node(address: destination.address, id: destination.id, finding: .notAwaited))
        return outcome.nodes.count - 1
    }

    /// A node has said nothing in all the time it had, or to the first of two queries.
    mutating func noteSilence(of transaction: Transaction) {
        guard isLookingUp, outcome.nodes[transaction.place].roundTrip == nil else { return }
        outcome.nodes[transaction.place].finding = .timedOut
        lookup.failed(transaction.destination, isRetry: transaction.isRetry)
    }

    mutating func note(answer finding: LookupOutcome.Finding, to transaction: Transaction, by id: NodeID?, after roundTrip: Duration) {
        outcome.nodes[transaction.place] = LookupOutcome.Node(
            address: transaction.destination.address, id: id, roundTrip: roundTrip, isLate: transaction.isStalled, finding: finding)
    }

    var query: KRPCQuery {
        switch kind {
        case .get(let moreRecentThan): .get(target: lookup.target, moreRecentThan: moreRecentThan)
        case .put(let item, let basis): .get(target: lookup.target, moreRecentThan: Operation.floor(of: item, onto: basis))
        case .refresh, .survey: .findNode(target: lookup.target)
        }
    }
}

