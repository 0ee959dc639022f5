/// What has happened at an ``Endpoint`` since it was made.
public struct EndpointCounters: Sendable, Equatable {
    /// Connections whose peer has proved its key.
    public internal(set) var connections = 0
    /// Connections that came to nothing, without those that were given up here because another way was quicker.
    public internal(set) var failedHandshakes = 0
    /// How often a connection has gone on along another path.
    public internal(set) var pathChanges = 0

    /// A connection has ended.
    mutating func count(_ reason: CloseReason, isEstablished: Bool) {
        if isEstablished { return }
        if case .application(_, _, byPeer: false) = reason { return }
        failedHandshakes += 1
    }
}

extension Endpoint {
    /// The connections whose peer has proved its key and that have not ended.
    public var establishedConnections: [Connection] {
        // Each is there under several ids.
        let each = connections.values.reduce(into: [:]) { $0[ObjectIdentifier($1)] = $1 }
        return each.values.filter(\.isEstablished)
    }
}
