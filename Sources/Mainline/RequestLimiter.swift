import Platform

/// Keeps one address from having all of a server's attention, or from making it shout at somebody whose address was forged: an answer
/// can be ten times as long as its query.
///
/// A token bucket for each hash of an IP address: constant memory, and the hash has a secret seed (SipHash), so nobody can aim at
/// another's bucket. Local networks are not limited: there one address may be many nodes.
struct RequestLimiter {
    /// Queries a second from one address, in the long run: a node that looks something up asks us once or twice.
    static let rate = 20.0
    /// Queries at once.
    static let burst = 100.0
    private static let bucketCount = 4096

    private var buckets = Array(repeating: (tokens: RequestLimiter.burst, at: Instant(nanoseconds: 0)), count: bucketCount)

    /// Whether to answer; counts the query.
    mutating func admits(_ ip: IPAddress, now: Instant) -> Bool {
        if ip.isLocalNetwork { return true }
        let index = Int(UInt(bitPattern: ip.hashValue) % UInt(RequestLimiter.bucketCount))
        let refill = (now - buckets[index].at).milliseconds / 1000 * RequestLimiter.rate
        let tokens = min(RequestLimiter.burst, buckets[index].tokens + max(0, refill))
        buckets[index] = (tokens >= 1 ? tokens - 1 : tokens, now)
        return tokens >= 1
    }
}
