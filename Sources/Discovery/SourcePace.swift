import Platform

/// When a relay, or the DHT, may be asked for more: what is under way is bounded, it is left alone for as long as it has asked for, and
/// one that gives no answer any more is only asked now and then whether it is back. Without a clock and without a socket.
struct SourcePace {
    /// So many questions in a row without an answer, and the source counts as gone.
    static let failuresWhenGone = 3
    /// How long a source that is gone is left in peace: a relay that restarts is back in seconds, and nobody who is down for hours needs
    /// to be asked more than once a minute.
    static let backoff = Backoff(first: .seconds(2), longest: .seconds(60))

    enum State: Equatable {
        case ready
        /// As much is under way as may be.
        case busy
        /// It has asked for a pause.
        case resting(until: Instant)
        /// It gives no answer.
        case gone(until: Instant)
    }

    /// How a question ended.
    enum Ending: Equatable {
        case answered
        case noAnswer
        case askedForPause(Duration)
    }

    let mostUnderWay: Int
    private(set) var underWay = 0
    /// Questions without an answer, since the last one with.
    private(set) var failures = 0
    private var pausedUntil = Instant(nanoseconds: 0)

    init(mostUnderWay: Int) { self.mostUnderWay = mostUnderWay }

    var isGone: Bool { failures >= Self.failuresWhenGone }

    func state(now: Instant) -> State {
        if pausedUntil > now { return isGone ? .gone(until: pausedUntil) : .resting(until: pausedUntil) }
        return underWay >= mostUnderWay ? .busy : .ready
    }

    mutating func begin() { underWay += 1 }

    /// - Parameter chance: 0 to 1, evenly distributed.
    mutating func end(_ ending: Ending, now: Instant, chance: Double) {
        underWay -= 1
        switch ending {
        case .answered: failures = 0
        case .askedForPause(let pause):
            failures = 0
            pausedUntil = max(pausedUntil, now + pause)
        case .noAnswer:
            failures += 1
            // Those that were under way together fail together, and that is one failure of the source.
            if isGone, pausedUntil <= now {
                pausedUntil = now + Self.backoff.delay(after: failures - Self.failuresWhenGone + 1, chance: chance)
            }
        }
    }
}
