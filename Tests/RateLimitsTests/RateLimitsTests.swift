import Platform
import RateLimits
import Testing

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds) }
private let one = IPAddress("192.0.2.1")!
private let two = IPAddress("192.0.2.2")!

@Test("a quota is read and written", arguments: [
    ("2r/s", 2, .second, 2), ("3r/m", 3, .minute, 3), ("2r/s,burst=10", 2, .second, 10), ("1000000r/s,burst=1", 1_000_000, .second, 1),
] as [(String, Int, Quota.Period, Int)])
func quotas(text: String, count: Int, period: Quota.Period, burst: Int) {
    let quota = Quota(text)
    #expect(quota == Quota(count, each: period, burst: burst))
    #expect(quota?.description == text)
}

@Test("what is no quota is refused", arguments: [
    "", "2", "r/s", "0r/s", "2r/h", "2r/s,", "2r/s,burst=", "2r/s,burst=0", "2r/s,5", "-2r/s", "+2r/s", "2 r/s", "2r/s/s", "1000001r/s",
    "99999999999999999999r/s", "2r/s,burst=2,burst=3", "2r/s,burst=-1", "٢r/s",
])
func noQuotas(text: String) { #expect(Quota(text) == nil) }

@Test("a burst is admitted, then the pace of the quota, and it says how long to wait")
func paces() {
    var limiter = AddressLimiter(Quota("2r/s,burst=3"))
    for _ in 0..<3 { #expect(limiter.admit(one, now: at(0)) == .admitted) }
    #expect(limiter.admit(one, now: at(0)) == .refused(retryAfter: .milliseconds(500)))
    #expect(limiter.admit(one, now: at(400)) == .refused(retryAfter: .milliseconds(100)))
    #expect(limiter.admit(one, now: at(500)) == .admitted)
    #expect(limiter.admit(one, now: at(500)) == .refused(retryAfter: .milliseconds(500)))
    #expect(limiter.admit(two, now: at(500)) == .admitted)
    for _ in 0..<3 { #expect(limiter.admit(one, now: at(60_000)) == .admitted) }
    #expect(limiter.admit(one, now: at(60_000)) != .admitted)
}

@Test("refused attempts do not put off the next admission")
func refusalsAreFree() {
    var limiter = AddressLimiter(Quota("1r/s"))
    #expect(limiter.admit(one, now: at(0)) == .admitted)
    for time in 1..<1000 { #expect(limiter.admit(one, now: at(Int64(time))) != .admitted) }
    #expect(limiter.admit(one, now: at(1000)) == .admitted)
}

@Test("IPv6 counts by subscriber, IPv4-mapped as IPv4")
func families() {
    var limiter = AddressLimiter(Quota("1r/m"))
    #expect(limiter.admit(IPAddress("2001:db8:0:1::1")!, now: at(0)) == .admitted)
    #expect(limiter.admit(IPAddress("2001:db8:0:1:ffff::9")!, now: at(0)) != .admitted)
    #expect(limiter.admit(IPAddress("2001:db8:0:2::1")!, now: at(0)) == .admitted)
    #expect(limiter.admit(one, now: at(0)) == .admitted)
    #expect(limiter.admit(IPAddress("::ffff:192.0.2.1")!, now: at(0)) != .admitted)
}

@Test("without a quota and for exempt addresses there is no limit")
func exemptions() {
    var off = AddressLimiter(nil)
    var limiter = AddressLimiter(Quota("1r/m"), exempt: AddressRange.localNetworks)
    for _ in 0..<100 {
        #expect(off.admit(one, now: at(0)) == .admitted)
        #expect(limiter.admit(IPAddress("10.255.0.1")!, now: at(0)) == .admitted)
        #expect(limiter.admit(IPAddress("::1")!, now: at(0)) == .admitted)
    }
    #expect((off.count, limiter.count) == (0, 0))
    _ = limiter.admit(one, now: at(0))
    #expect(limiter.admit(one, now: at(0)) != .admitted)
}

@Test("a flood from many addresses is remembered in bounded room, and who goes on asking stays limited")
func bounded() {
    var limiter = AddressLimiter(Quota("1r/m"), capacity: 64)
    #expect(limiter.admit(one, now: at(0)) == .admitted)
    for number in 0..<10_000 {
        #expect(limiter.admit(.v4(0x0a00_0000 + UInt32(number)), now: at(0)) == .admitted)
        #expect(limiter.count <= 64)
    }
    var busy = AddressLimiter(Quota("2r/s,burst=64"), capacity: 64)
    for number in 0..<10_000 {
        // The one in the middle of the flood is used as often as its quota allows, so it is never the oldest.
        if number % 16 == 0 { _ = busy.admit(one, now: at(Int64(number))) }
        _ = busy.admit(.v4(0x0a00_0000 + UInt32(number)), now: at(Int64(number)))
    }
    // 625 asked for, 64 at once and 2 a second for ten seconds were there to be had.
    #expect((0..<100).count { _ in busy.admit(one, now: at(10_000)) == .admitted } < 4)
}

@Test("ranges of addresses", arguments: [
    ("127.0.0.0/8", "127.1.2.3", true), ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false), ("0.0.0.0/0", "9.9.9.9", true),
    ("::/0", "9.9.9.9", false), ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
    ("2001:db8::/65", "2001:db8::7fff:0:0:1", true), ("2001:db8::/65", "2001:db8::8000:0:0:1", false), ("::1", "::1", true), ("::/0", "::1", true),
] as [(String, String, Bool)])
func ranges(range: String, ip: String, isInside: Bool) {
    #expect(AddressRange(range)?.contains(IPAddress(ip)!) == isInside)
    #expect(AddressRange(range)?.description == range)
}

@Test("what is no range is refused", arguments: ["", "/8", "127.0.0.1/", "127.0.0.1/33", "::1/129", "127.0.0.1/-1", "127.0.0.1/+8", "a/8", "1.2.3.4/8/8"])
func noRanges(text: String) { #expect(AddressRange(text) == nil) }
