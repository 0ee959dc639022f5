import Platform
import RateLimits

/// What an endpoint spends on all its peers' addresses together: probes go to where peers want them, and peers may want to harm somebody.
public final class ProbeBudget {
    /// A round is 16 addresses, six times each, in 2 s: six peers at a time may have that, and no more than 10 KB/s leave us for it.
    private static let probes = Quota(100, each: .second, burst: 600)!

    private var bucket = TokenBucket(probes)

    public init() {}

    /// Whether one more probe may be sent.
    func spend(now: Instant) -> Bool { bucket.take(now: now) }
}
