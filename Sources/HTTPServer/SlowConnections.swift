import Platform

/// Connections on which a request is awaited or coming in, by how long. libmicrohttpd closes a silent one; who sends a byte now and then
/// would keep it for ever, and a few thousand of them would keep out everybody else.
struct SlowConnections {
    private var since: [OpaquePointer: (begin: Instant, isKept: Bool)] = [:]

    var count: Int { since.count }

    /// - Parameter isKept: Whether requests on it have been answered before.
    mutating func begin(_ connection: OpaquePointer, isKept: Bool, now: Instant) { since[connection] = (now, isKept) }
    mutating func end(_ connection: OpaquePointer) { since[connection] = nil }

    /// Takes those that have been at it for longer than allowed.
    mutating func takeOverdue(after patience: Duration, now: Instant) -> [OpaquePointer] {
        take { now - $0.begin > patience }
    }

    /// Takes those whose clients have had an answer, and may not ask any more.
    mutating func takeKept() -> [OpaquePointer] { take(where: \.isKept) }

    private mutating func take(where isTaken: ((begin: Instant, isKept: Bool)) -> Bool) -> [OpaquePointer] {
        let taken = since.filter { isTaken($0.value) }.map(\.key)
        for connection in taken { since[connection] = nil }
        return taken
    }
}
