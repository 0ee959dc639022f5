import Platform

/// Being the only node of somebody's network (``MainlineNode/Mode/sole(handingOut:)``): what he asks for is looked up in the real one.
extension MainlineNode {
    /// An answer that waits for a look-up.
    struct Enquiry {
        var asker: Contact
        var message: KRPCMessage
        var floor: Int64?
    }

    /// Look-ups for others at the same time, and how many may wait for each.
    static let mostFetches = 32
    static let mostEnquirers = 8
    /// The mainline library takes a node for dead that has not answered within two seconds (spec/pkarr-wire.md, 3.4).
    static let longestFetch = Duration.milliseconds(1500)

    var isSole: Bool { if case .sole = mode { true } else { false } }

    /// Whether a get waits for what the real network has. What is handed out is answered from here.
    func postpone(_ enquiry: Enquiry, for target: NodeID, now: Instant) -> Bool {
        guard case .sole(let handedOut) = mode, !handedOut.contains(target) else { return false }
        if fetches[target] != nil {
            guard fetches[target]!.enquiries.count < MainlineNode.mostEnquirers else { return false }
            fetches[target]!.enquiries.append(enquiry)
            return true
        }
        guard fetches.count < MainlineNode.mostFetches else { return false }
        let operation = start(Operation(.get(moreRecentThan: nil), target: target, now: now), now: now)
        // It may have ended already, when there is nobody to ask.
        guard operations[operation] != nil || waiting.contains(where: { $0.id == operation }) else { return false }
        fetches[target] = (operation, now + MainlineNode.longestFetch, [enquiry])
        return true
    }

    /// Keeps what a look-up for somebody has found, and answers him. Returns whether the look-up was one of those.
    func endFetch(_ id: OperationID, _ operation: Operation, now: Instant) -> Bool {
        guard let target = fetches.first(where: { $0.value.operation == id })?.key else { return false }
        if let item = operation.newest { _ = store.store(.mutable(item, cas: nil), now: now) }
        for enquiry in fetches.removeValue(forKey: target)!.enquiries { answerFromStore(enquiry, target, now: now) }
        return true
    }

    /// Answers those who would not wait longer. The look-up goes on, so that they find it when they ask again.
    func answerTheImpatient(now: Instant) {
        for (target, fetch) in fetches where fetch.deadline <= now && !fetch.enquiries.isEmpty {
            fetches[target]!.enquiries = []
            for enquiry in fetch.enquiries { answerFromStore(enquiry, target, now: now) }
        }
    }
}
