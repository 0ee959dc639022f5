import Platform

/// Two networks: nodes with IPv4 and nodes with IPv6 addresses don't hear of each other, and each has its own node of this process (BEP 32).
extension MainlineNode {
    /// Names of nodes that are kept for look-ups to begin with.
    private static let mostRumours = 40

    var isV6: Bool { ownAddress.ip.isV6 }

    /// Whether this node would like to hear of nodes from the other network.
    var wantsRumours: Bool { table.count < Lookup.width }

    /// Takes what the other network has named, in answer to a query.
    func hear(of contacts: [Contact], _ transaction: Transaction, from other: MainlineNode, now: Instant) {
        guard wantsRumours else { return }
        let target = transaction.operation.flatMap { other.operations[$0]?.lookup.target }
        for id in operations.keys where operations[id]!.isLookingUp && operations[id]!.lookup.target == target {
            operations[id]!.lookup.add(contacts: contacts)
            proceed(id, now: now)
        }
        let isFirst = rumours.isEmpty
        rumours = Array((contacts + rumours.filter { !contacts.contains($0) }).prefix(Self.mostRumours))
        if isFirst, mode == .server, !hasBeenAnswered { maintenance.hasToJoin(now: now) }
    }
}
