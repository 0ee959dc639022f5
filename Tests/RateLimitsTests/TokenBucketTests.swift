import Platform
import Testing

@testable import RateLimits

/// Takes tokens until there is none; how many there were.
private func takeAll(_ bucket: inout TokenBucket, now: Instant) -> Int {
    var count = 0
    while bucket.take(now: now) { count += 1 }
    return count
}

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds) }

@Test("a full bucket gives its burst at once, then one token each interval")
func burstThenPace() {
    var bucket = TokenBucket(Quota(10, each: .second, burst: 3)!)
    #expect(takeAll(&bucket, now: at(0)) == 3)
    #expect(bucket.nextTurn == at(100))
    #expect([99, 100, 199, 200].map { takeAll(&bucket, now: at($0)) } == [0, 1, 0, 1])
}

@Test("a bucket fills up again, and not beyond its burst")
func refill() {
    var bucket = TokenBucket(Quota(60, each: .minute, burst: 2)!)
    #expect([0, 1500, 3_600_000].map { takeAll(&bucket, now: at($0)) } == [2, 1, 2])
}

@Test("asking at every next turn keeps exactly to the rate", arguments: [1, 3, 7, 1000])
func exact(count: Int) {
    var bucket = TokenBucket(Quota(count, each: .second, burst: 1)!)
    var now = at(0)
    for _ in 0...count {
        now = max(now, bucket.nextTurn)
        let taken = takeAll(&bucket, now: now)
        #expect(taken == 1)
    }
    // One at the start, then as many as the rate gives in a second; thirds of a second are no whole nanoseconds.
    #expect(now - at(0) <= .seconds(1) && now - at(0) > .seconds(1) - .microseconds(1))
}

@Test("a burst as large as a quota may have, from the clock's first moment on")
func extremes() {
    var bucket = TokenBucket(Quota(1_000_000, each: .minute, burst: 1_000_000)!)
    #expect(bucket.nextTurn == Instant(nanoseconds: 0))
    #expect(takeAll(&bucket, now: Instant(nanoseconds: 0)) == 1_000_000)
}
