import Platform

/// Connections on which a request is awaited or coming in, by how long. libmicrohttpd closes a silent one; who sends a byte now and then
/// would keep it for ever, and a few thousand of them would keep out everybody else.
struct SlowConnections {
    private var since: [OpaquePointer: Instant] = [:]

    var count: Int { since.count }

    mutating func begin(_ connection: OpaquePointer, now: Instant) { since[connection] = now }
    mutating func end(_ connection: OpaquePointer) { since[connection] = nil }

    /// Takes those that have been at it for longer than allowed.
    mutating func takeOverdue(after patience: Duration, now: Instant) -> [OpaquePointer] {
        let overdue = since.filter { now - $0.value > patience }.map(\.key)
        for connection in overdue { since[connection] = nil }
        return overdue
    }
}
