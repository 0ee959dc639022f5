import Iroh
import Platform

/// Which relay is an endpoint's home: the one whose connection is kept for ever, and that others are told of. Sans-I/O.
///
/// At the start it is the one that answers `/ping` quickest. It is left only for one that is clearly nearer twice in a row, or when there
/// is no connection to it; and never before the next is connected, so that a move interrupts nothing. A relay that refuses us is left out
/// until its link, which goes on trying slowly, is taken.
public struct HomeRelayChoice {
    /// The state of the connection to a relay.
    public enum Link: Equatable, Sendable {
        case connecting
        case connected
        /// Tried again by itself.
        case down(reason: String)
        /// Likewise, after the relay has said that it is only being started again.
        case restarting
        /// The relay does not take our key or token; tried again slowly by itself.
        case refused(reason: String)
    }

    /// What to do, or what has happened.
    public enum Event: Equatable, Sendable {
        /// Ask the relay for `/ping`, and call ``probed(_:_:now:)``.
        case probe(Probe)
        /// Connect to the relay and stay connected; call ``linkChanged(_:_:now:)`` with the present state and each change.
        case connect(RelayURL)
        /// The connection is of no more use to us; what still goes through it may go on.
        case release(RelayURL)
        /// The relay to announce is another one, which is connected. Nil when none is left that would take us.
        case moved(from: RelayURL?, to: RelayURL?)
        /// There is no connection to the home relay, and no other to take its place yet.
        case lost(RelayURL, reason: String)
        /// There is one again, after ``lost(_:reason:)``.
        case found(RelayURL)
        /// A relay does not take our key or token.
        case refused(RelayURL, reason: String)
        /// None that might be the home relay, or take its place, answers. Said once, until there is a connected home relay.
        case noAnswer([Failure])
        /// Each refuses us, and none has ever taken us; instead of the last ``refused(_:reason:)``.
        case refusedByAll([Failure])
    }

    /// A question that is under way.
    public struct Probe: Equatable, Sendable {
        public var url: RelayURL
        /// For the whole answer.
        public var timeout: Duration
        var round: Int
    }

    /// Why a relay can't be used.
    public struct Failure: Error, Equatable, Sendable {
        public var url: RelayURL
        public var reason: String
    }

    /// How often the relays are compared; up to a tenth of it is added by chance, so that endpoints do not ask together.
    public static let roundInterval: Duration = .seconds(300)
    /// In how many rounds one after the other a relay has to be clearly nearer: one slow answer moves nobody.
    static let roundsInARow = 2
    /// Without a connection for this long the home relay counts as lost, and one that was to become it as not there.
    public static let linkPatience: Duration = .seconds(2)
    /// The same for a relay that has said that it restarts. It spreads its clients' return over 2 s (quic-relay), and they need a moment.
    public static let restartPatience: Duration = .seconds(5)
    /// How long a former home relay is still connected: what is published about us lags behind by some minutes.
    public static let farewell: Duration = .seconds(300)
    /// While there is none: the wait after the first round, doubled each time up to the longest.
    static let firstRetry: Duration = .seconds(2), longestRetry: Duration = .seconds(30)
    /// A connection that comes and goes is told of no more often than this.
    static let complaintInterval: Duration = .seconds(60)

    struct Relay {
        var url: RelayURL
        /// On the list that we were given; others only linger.
        var isListed = true
        /// Of the latest round that tells.
        var latency: Duration?
        var failure: String?
        /// Nil when we hold no connection.
        var link: Link?
        /// Since when there is no connection, if there is none.
        var linkSince: Instant
        /// Why the connection was last lost or not made.
        var trouble: String?
        /// How long that may last.
        var patience = HomeRelayChoice.linkPatience
        /// It has lasted longer.
        var isOverdue = false
        /// Until it takes us.
        var refusal: String?
        /// When the connection is released, after it was the home relay's.
        var farewell: Instant?

        /// Whether it may become the home relay when it is connected.
        var isCandidate: Bool { isListed && refusal == nil && !isOverdue && latency != nil }
    }

    /// The relay to announce: it was connected when it became that, and is kept while there is none to take its place.
    public internal(set) var home: RelayURL?

    var relays: [Relay] = []
    /// The one that is to be the home relay as soon as it is connected.
    var next: (url: RelayURL, isNearer: Bool)?
    var round: RelayProbeRound?
    var rounds = 0
    var nextRound: Instant
    var roundsWithoutHome = 0
    var nearer: (url: RelayURL, rounds: Int)?
    var events: [Event] = []
    var complained: (url: RelayURL, time: Instant)?
    var isComplaintOpen = false
    var hasSaidNoAnswer = false
    var wasEverTaken = false
    var hasSaidRefused = false
    let chance: () -> Double

    /// - Parameters:
    ///   - relays: Duplicates count once.
    ///   - chance: 0 to 1, evenly distributed.
    public init(_ relays: [RelayURL], now: Instant, chance: @escaping () -> Double) {
        nextRound = now
        self.chance = chance
        setRelays(relays, now: now)
    }

    /// Takes another list of relays, and asks them at once. A home relay that is not on it is left when another is connected, or when there
    /// is no other.
    public mutating func setRelays(_ urls: [RelayURL], now: Instant) {
        for index in relays.indices { relays[index].isListed = urls.contains(relays[index].url) }
        for url in urls where index(of: url) == nil { relays.append(Relay(url: url, linkSince: now)) }
        (hasSaidNoAnswer, hasSaidRefused) = (false, false)
        roundsWithoutHome = 0
        round = nil
        nextRound = now
        step(now: now)
    }

    /// Notes what a probe brought: how long the answer took, or why there is none. One of a round that is over counts no more.
    public mutating func probed(_ probe: Probe, _ result: Result<Duration, Failure>, now: Instant) {
        guard probe.round == rounds else { return }
        switch result {
        case .success(let latency): round?.record(probe.url, .latency(latency), now: now)
        case .failure(let failure): round?.record(probe.url, .failure(reason: failure.reason), now: now)
        }
        step(now: now)
    }

    /// Notes the state of a connection that was asked for.
    public mutating func linkChanged(_ url: RelayURL, _ link: Link, now: Instant) {
        guard let index = index(of: url), relays[index].link != nil, relays[index].link != link else { return }
        if relays[index].link == .connected { relays[index].linkSince = now }
        relays[index].link = link
        switch link {
        case .connected:
            wasEverTaken = true
            relays[index].isOverdue = false
            relays[index].patience = Self.linkPatience
            relays[index].refusal = nil
            if url == home {
                if isComplaintOpen { events.append(.found(url)) }
                isComplaintOpen = false
                hasSaidNoAnswer = false
                scheduleRound(now: now)
            }
        case .refused(let reason):
            if relays[index].refusal != reason { events.append(.refused(url, reason: reason)) }
            relays[index].refusal = reason
            relays[index].farewell = nil
        case .down(let reason): relays[index].trouble = reason
        case .restarting: (relays[index].trouble, relays[index].patience) = ("restarts", Self.restartPatience)
        case .connecting: break
        }
        step(now: now)
    }

    public mutating func handleDeadline(now: Instant) { step(now: now) }

    /// When ``handleDeadline(now:)`` is due; nil when nothing is.
    public var deadline: Instant? {
        var times: [Instant] = []
        if let round {
            times.append(round.deadline)
        } else if relays.contains(where: isAsked) {
            times.append(nextRound)
        }
        for relay in relays {
            if isWaitedFor(relay) { times.append(relay.linkSince + relay.patience) }
            if let farewell = relay.farewell, relay.url != next?.url { times.append(farewell) }
        }
        return times.min()
    }

    /// How long a relay took to answer `/ping` when it last did.
    public func latency(of url: RelayURL) -> Duration? { relays.first { $0.url == url }?.latency }

    /// What to do next; to be asked until nil after each call.
    public mutating func nextEvent() -> Event? { events.isEmpty ? nil : events.removeFirst() }
}
