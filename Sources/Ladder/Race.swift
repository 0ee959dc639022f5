import Platform

/// The order and the times in which ways are tried, each with a head start before the next (RFC 8305), until one works.
///
/// Sans-I/O: it is told the time and what became of the ways, and says which to start and to stop. Rungs begin one after the other, at the
/// latest ``headStart`` after the former or when all before have failed; the ways of a rung likewise among themselves. So whatever stays
/// silent, be it in one rung or another, holds the others up by no more than that.
struct Race {
    /// How long a way, or a rung of them, is tried alone (RFC 8305, section 5).
    static let headStart: Duration = .milliseconds(250)
    /// After this long a way counts as failed.
    static let attemptLimit: Duration = .seconds(10)

    enum Action: Equatable {
        case start(Int, Way)
        /// Its outcome does not matter any more.
        case stop(Int)
        /// This way has won; all others were stopped.
        case won(Int)
        /// Nothing is left to try.
        case lost
    }

    private struct Rung {
        var waiting: ArraySlice<Way>
        var running: Set<Int> = []
        /// When the rung began; nil before.
        var began: Instant?
        /// When its next way begins though others are under way.
        var next = Instant.never

        var isExhausted: Bool { waiting.isEmpty && running.isEmpty }
    }

    private struct Attempt {
        var way: Way
        var rung: Int
        var began: Instant
    }

    private var rungs: [Rung]
    private var running: [Int: Attempt] = [:]
    private var begun = 0
    private var isOver = false
    private let deadline: Instant
    /// What has failed so far.
    private(set) var failures: [UpstreamAttempt] = []

    /// - Parameter deadline: When all that is under way counts as failed.
    init(_ rungs: [[Way]], until deadline: Instant) {
        self.rungs = rungs.map { Rung(waiting: $0[...]) }
        self.deadline = deadline
    }

    /// The way of an attempt that is under way.
    func way(_ id: Int) -> Way? { running[id]?.way }

    /// How long an attempt has been under way.
    func age(_ id: Int, now: Instant) -> Duration { running[id].map { now - $0.began } ?? .zero }

    /// When ``advance(now:)`` has to be called though nothing has happened; nil when that would change nothing.
    var wakeUp: Instant? {
        guard !isOver else { return nil }
        var times = running.values.map { $0.began + Self.attemptLimit } + [deadline]
        for rung in rungs where rung.began != nil && !rung.waiting.isEmpty { times.append(rung.next) }
        if rungs.contains(where: { $0.began == nil }), let last = rungs.last(where: { $0.began != nil }) { times.append(last.began! + Self.headStart) }
        return times.min()
    }

    /// Starts what is due.
    mutating func advance(now: Instant) -> [Action] {
        guard !isOver else { return [] }
        var actions = giveUp(now: now)
        // The rung before that still has something to hope for.
        var former: Instant?
        for index in rungs.indices where !rungs[index].isExhausted {
            if rungs[index].began == nil {
                if let former, now < former + Self.headStart { break }
                rungs[index].began = now
            }
            former = rungs[index].began
            while let way = rungs[index].waiting.first, rungs[index].running.isEmpty || now >= rungs[index].next {
                rungs[index].waiting.removeFirst()
                actions.append(start(way, rung: index, now: now))
            }
        }
        if running.isEmpty, rungs.allSatisfy(\.isExhausted) {
            isOver = true
            actions.append(.lost)
        }
        return actions
    }

    private mutating func start(_ way: Way, rung: Int, now: Instant) -> Action {
        let id = begun
        begun += 1
        running[id] = Attempt(way: way, rung: rung, began: now)
        rungs[rung].running.insert(id)
        rungs[rung].next = now + Self.headStart
        return .start(id, way)
    }

    /// Ends what has taken too long, and at the deadline everything.
    private mutating func giveUp(now: Instant) -> [Action] {
        let late = running.filter { now >= deadline || now >= $0.value.began + Self.attemptLimit }.keys.sorted()
        for id in late { end(id, Self.silence, now: now) }
        if now >= deadline { for index in rungs.indices { rungs[index].waiting = [] } }
        return late.map(Action.stop)
    }

    private static let silence = "no answer"

    @discardableResult
    private mutating func remove(_ id: Int, now: Instant) -> Attempt? {
        guard let attempt = running.removeValue(forKey: id) else { return nil }
        rungs[attempt.rung].running.remove(id)
        rungs[attempt.rung].next = now
        return attempt
    }

    private mutating func end(_ id: Int, _ reason: String, now: Instant) {
        guard let attempt = remove(id, now: now) else { return }
        failures.append(UpstreamAttempt(path: attempt.way.path, remote: attempt.way.remote, reason: reason, after: now - attempt.began))
    }

    /// A way did not work.
    mutating func failed(_ id: Int, _ reason: String, now: Instant) -> [Action] {
        end(id, reason, now: now)
        return advance(now: now)
    }

    /// A way that tries several of its own did not work.
    mutating func failed(_ id: Int, _ inner: [UpstreamAttempt], now: Instant) -> [Action] {
        if remove(id, now: now) != nil { failures += inner }
        return advance(now: now)
    }

    /// A way has turned out to be several.
    mutating func found(_ id: Int, _ ways: [Way], now: Instant) -> [Action] {
        if let attempt = remove(id, now: now) { rungs[attempt.rung].waiting = ways[...] + rungs[attempt.rung].waiting }
        return advance(now: now)
    }

    /// A way works.
    mutating func succeeded(_ id: Int, now: Instant) -> [Action] {
        guard running[id] != nil else { return [] }
        remove(id, now: now)
        return stopAll(now: now) + [.won(id)]
    }

    /// Ends everything, because of an impostor or because nobody wants a connection any more.
    mutating func stopAll(now: Instant) -> [Action] {
        isOver = true
        let rest = running.keys.sorted()
        for id in rest {
            // Whatever had its head start has failed.
            if let attempt = running[id], now - attempt.began >= Self.headStart { end(id, Self.silence, now: now) } else { remove(id, now: now) }
        }
        return rest.map(Action.stop)
    }
}
