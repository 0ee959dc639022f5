import Platform

/// How long a stream through the bridge may wait for its client. Without I/O and clocks.
struct StreamPatience {
    enum Reason: Equatable {
        /// For nothing of the client.
        case nothing
        /// For the rest of the head of a request, which has this number, or the first byte: counted from the beginning, so that a byte now and
        /// then does not help.
        case head(Int)
        /// For more of a request's body, while the server sends nothing either.
        case body
        /// For another request.
        case idle
        /// For the client to take the last answer and to end.
        case lingering

        var time: Duration? {
            switch self {
            case .nothing: nil
            case .head: .seconds(20)
            case .body: .seconds(60)
            case .idle: .seconds(120)
            case .lingering: .seconds(5)
            }
        }
    }

    private(set) var reason = Reason.head(0)
    private(set) var since: Instant
    /// Whether bytes have passed since this was last looked at: so nobody reads a clock for each of them.
    var hasProgressed = false

    init(now: Instant) { since = now }

    /// Waiting goes on if it is for the same thing.
    mutating func wait(_ reason: Reason, now: @autoclosure () -> Instant) {
        guard reason != self.reason else { return }
        self.reason = reason
        since = now()
        hasProgressed = false
    }

    mutating func isOver(now: Instant) -> Bool {
        if reason == .body, hasProgressed { since = now }
        hasProgressed = false
        return reason.time.map { now - since >= $0 } ?? false
    }
}
