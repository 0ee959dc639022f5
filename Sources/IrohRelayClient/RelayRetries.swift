/// When a relay is tried again. It comes with chance, so that those who have lost it together do not come back together.
struct RelayRetries {
    /// The first wait and the longest. Both ends of a connection have to find a relay that is back, and QUIC's next probe may come as long
    /// after that as the first of them waited for the second: together this is to be well under 5 s.
    private static let usual = (first: Duration.milliseconds(100), longest: Duration.seconds(2))
    /// For one that does not want us: its operator may change that any minute, but nothing is gained by asking often.
    private static let refused = (first: Duration.seconds(30), longest: Duration.seconds(300))

    private var failures = 0
    private var refusals = 0

    /// The relay has answered a ping: the way works in both directions.
    mutating func succeed() { (failures, refusals) = (0, 0) }

    /// How long to wait after a failure, twice as long after each.
    ///
    /// - Parameters:
    ///   - restart: How long the relay has asked us to stay away, with chance in it already.
    ///   - chance: 0 to 1, evenly distributed.
    mutating func delay(after failure: RelayLinkFailure, restart: Duration?, chance: Double) -> Duration {
        if let restart { return restart }
        if case .refused = failure {
            refusals += 1
            return Self.delay(Self.refused, refusals, chance)
        }
        failures += 1
        return Self.delay(Self.usual, failures, chance)
    }

    private static func delay(_ waits: (first: Duration, longest: Duration), _ failures: Int, _ chance: Double) -> Duration {
        // Doubled no more often than would overflow.
        let full = min(waits.first * (1 << min(failures - 1, 20)), waits.longest)
        return full / 2 + full / 2 * chance
    }
}
