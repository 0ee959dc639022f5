import Iroh
import Platform

/// One round of asking relays for `/ping`: who answers, and how quickly (spec/iroh-wire.md, 4.5). Sans-I/O.
struct RelayProbeRound {
    /// What a relay that was asked turned out to be.
    enum Result: Equatable, Sendable {
        /// The shortest time that an answer took.
        case latency(Duration)
        case failure(reason: String)
    }

    /// Tries for each relay: iroh makes as many.
    static let mostTries = 3
    /// The first answer pays for the look-up of the name, TCP and TLS; the second, on the same connection, is one round trip.
    static let enoughAnswers = 2
    /// How long after a failed try comes the next: a relay that is just being started again is there a moment later.
    static let pauses: [Duration] = [.milliseconds(200), .milliseconds(300)]
    /// After this a relay counts as silent; a start-up waits no longer than this for its first endpoint line.
    static let longest: Duration = .seconds(3)
    /// How long the others have once the first has answered: one that is this much slower is not the nearest.
    static let patience: Duration = .milliseconds(500)

    private struct Entry {
        var url: RelayURL
        var tries = 0
        var answers = 0
        var latency: Duration?
        var failure: String?
        var isAsked = false
        /// When the next try is due; nil while one is under way and when there will be none.
        var due: Instant?
    }

    private let end: Instant
    private var entries: [Entry]
    private var firstAnswer: Instant?
    private var wasDecided = false

    init(_ relays: [RelayURL], now: Instant) {
        end = now + Self.longest
        entries = relays.map { Entry(url: $0, due: now) }
    }

    /// The next relay to ask now, which counts as asked; nil when none is due.
    mutating func nextTry(now: Instant) -> (url: RelayURL, timeout: Duration)? {
        guard now < end, let index = entries.firstIndex(where: { $0.due.map { $0 <= now } ?? false }) else { return nil }
        entries[index].tries += 1
        entries[index].isAsked = true
        entries[index].due = nil
        return (entries[index].url, end - now)
    }

    /// Notes what a try brought.
    mutating func record(_ url: RelayURL, _ result: Result, now: Instant) {
        guard let index = entries.firstIndex(where: { $0.url == url && $0.isAsked }) else { return }
        entries[index].isAsked = false
        var pause: Duration = .zero
        switch result {
        case .latency(let latency):
            entries[index].answers += 1
            entries[index].latency = min(latency, entries[index].latency ?? latency)
            if firstAnswer == nil { firstAnswer = now }
        case .failure(let reason):
            entries[index].failure = reason
            pause = Self.pauses[min(entries[index].tries, Self.pauses.count) - 1]
        }
        if entries[index].answers < Self.enoughAnswers, entries[index].tries < Self.mostTries { entries[index].due = now + pause }
    }

    /// What is known of each relay so far; one that is still being asked for the first time is not there.
    var results: [RelayURL: Result] {
        var results: [RelayURL: Result] = [:]
        for entry in entries {
            if let latency = entry.latency {
                results[entry.url] = .latency(latency)
            } else if let failure = entry.failure, !isPending(entry) {
                results[entry.url] = .failure(reason: failure)
            }
        }
        return results
    }

    /// Whether nothing more will come of it.
    func isOver(now: Instant) -> Bool { now >= end || !entries.contains(where: isPending) }

    /// Whether those that have not answered yet can't be the nearest.
    mutating func isDecided(now: Instant) -> Bool {
        wasDecided = wasDecided || isOver(now: now) || firstAnswer.map { $0 + Self.patience <= now } ?? false
        return wasDecided
    }

    /// Relays that have said nothing by the end.
    mutating func giveUp() {
        for index in entries.indices where isPending(entries[index]) {
            if entries[index].latency == nil, entries[index].failure == nil { entries[index].failure = "no answer" }
            entries[index].isAsked = false
            entries[index].due = nil
        }
    }

    /// When it next has to be looked at.
    var deadline: Instant {
        var deadline = end
        for case let due? in entries.map(\.due) { deadline = min(deadline, due) }
        if !wasDecided, let firstAnswer { deadline = min(deadline, firstAnswer + Self.patience) }
        return deadline
    }

    private func isPending(_ entry: Entry) -> Bool { entry.isAsked || entry.due != nil }
}
