import Platform

/// Knowing how far around a target nodes matter, see ``NetworkSize``.
extension MainlineNode {
    /// A survey that has brought nothing, because hardly anybody answers, is not done again before this.
    private static let surveyPause = Duration.seconds(60)

    /// Begins to find out the size of the network if an operation needs to know it.
    ///
    /// - Returns: Whether the operation has nothing left to do but to wait for that.
    func survey(for id: OperationID, now: Instant) -> Bool {
        guard let operation = operations[id], operation.lookup.reach == nil, operation.mayBeSurrounded else { return false }
        if surveyor == nil, now >= nextSurvey {
            nextSurvey = now + Self.surveyPause
            let survey = newOperationID()
            surveyor = survey
            // It does not wait for its turn: those whose turn it is wait for it.
            begin(survey, Operation(.survey, target: randomTarget(), now: now), now: now)
        }
        return surveyor != nil && operations[id]?.lookup.isFinished == true
    }

    /// Learns from a look-up that has come to its end, and goes on with those that can make use of it.
    func noteSize(_ operation: Operation, _ id: OperationID, _ ending: LookupOutcome.Ending, now: Instant) {
        if ending == .complete { size.note(operation.lookup.closestResponders.map(\.contact), of: operation.lookup.target) }
        let isSurvey = surveyor == id
        if isSurvey { surveyor = nil }
        guard isSurvey || size.estimate != nil else { return }
        for (other, operation) in operations where operation.isLookingUp && operation.lookup.reach == nil && other != id {
            // Another may have ended meanwhile.
            guard operations[other] != nil else { continue }
            operations[other]!.lookup.reach = size.reach(at: operation.lookup.target)
            if isSurvey || operations[other]!.lookup.reach != nil { proceed(other, now: now) }
        }
    }
}
