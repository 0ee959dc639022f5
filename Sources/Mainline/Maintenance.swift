import Platform

/// What a server does unasked: join the network, keep its table fresh, learn its own address.
struct Maintenance {
    /// How often the table is looked through for nodes that have long been silent.
    static let interval = Duration.seconds(60)
    /// How often nodes near to us and near to a random place are looked for (BEP 5 refreshes a bucket after 15 minutes).
    static let refreshInterval = Duration.seconds(900)
    /// A young node looks more often, twice as long after each time: those who join a new network together don't find each other at
    /// once, and nobody may be there yet.
    static let firstPause = Duration.seconds(2)
    /// Pings under way at the same time.
    static let mostPings = 64

    var nextCheck: Instant
    var nextRefresh: Instant
    var pause = Maintenance.firstPause
    /// Look-ups for the table that are under way.
    var refreshes = 0
    /// What others have last seen as our address (BEP 42), the latest last.
    private var votes: [(voter: IPAddress, address: IPAddress)] = []

    /// Voters that are remembered: few enough for a change to be noticed soon.
    private static let mostVoters = 32
    /// Votes that are needed to believe in an address.
    static let votesNeeded = 4

    init(now: Instant) {
        nextCheck = now + Maintenance.interval
        nextRefresh = now
    }

    var nextDeadline: Instant { refreshes > 0 ? nextCheck : min(nextCheck, nextRefresh) }

    mutating func hasToJoin(now: Instant) {
        nextRefresh = min(nextRefresh, now)
        pause = Maintenance.firstPause
    }

    mutating func note(vote address: IPAddress, by voter: IPAddress) {
        if let last = votes.lastIndex(where: { $0.voter == voter }) {
            votes.remove(at: last)
        } else if votes.count == Self.mostVoters {
            votes.removeFirst()
        }
        votes.append((voter, address))
    }

    /// The address that most voters agree on, if there are enough of them.
    var electedAddress: IPAddress? {
        guard votes.count >= Maintenance.votesNeeded else { return nil }
        let counts = Dictionary(votes.map { ($0.address, 1) }, uniquingKeysWith: +)
        guard let best = counts.max(by: { $0.value < $1.value }), best.value >= Maintenance.votesNeeded, best.value * 2 > votes.count
        else { return nil }
        return best.key
    }
}
