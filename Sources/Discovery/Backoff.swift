/// How long to wait after a failure: twice as long after each, with chance in it so that what has failed together does not come back
/// together.
struct Backoff: Sendable {
    var first: Duration
    var longest: Duration

    /// The wait after so many failures in a row, counted from 1: half of it is certain, the other half is chance's.
    ///
    /// - Parameter chance: 0 to 1, evenly distributed.
    func delay(after failures: Int, chance: Double) -> Duration {
        // Doubled no more often than would overflow.
        let full = min(first * (1 << min(max(failures - 1, 0), 30)), longest)
        return full / 2 + .nanoseconds(Int64(Double((full / 2).nanoseconds) * chance))
    }
}
