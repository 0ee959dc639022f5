import Platform
import RateLimits
import Testing

@testable import Toolkit

private let start = Instant(nanoseconds: 1_000_000_000)

@Test("progress tells of what is done, how fast, what failed and what is left")
func progress() {
    var progress = Progress(total: 10_000, now: start)
    #expect(progress.text(now: start) == "0 of 10000 (0 %)")
    progress.done = 1000
    #expect(progress.text(now: start + .seconds(10)) == "1000 of 10000 (10 %), 100/s, 1:30 left")
    progress.failed = 3
    progress.done = 9999
    #expect(progress.text(now: start + .seconds(10_000)) == "9999 of 10000 (99 %), 0.9/s, 3 failed, 0:02 left")
    progress.done = 10_000
    #expect(progress.text(now: start + .seconds(10_000)) == "10000 of 10000 (100 %), 1.0/s, 3 failed")
}

@Test("what was skipped says nothing of the speed")
func skipped() {
    var progress = Progress(total: 7300, now: start)
    progress.done = 100
    progress.skipped = 90
    #expect(progress.text(now: start + .seconds(5)) == "100 of 7300 (1 %), 2.0/s, 1:00:00 left")
}

@Test("without a total there is no share and no end to be told")
func withoutTotal() {
    var progress = Progress(total: nil, now: start)
    progress.done = 5
    #expect(progress.text(now: start + .seconds(1)) == "5, 5.0/s")
    // More than were counted.
    progress = Progress(total: 3, now: start)
    progress.done = 4
    #expect(progress.text(now: start + .seconds(1)) == "4 of 4 (100 %), 4.0/s")
    // Nothing to do at all.
    #expect(Progress(total: 0, now: start).text(now: start) == "0 of 0 (0 %)")
}

@Test("a rate is so many a second or minute, with a second's worth at once")
func rates() {
    #expect(RateArgument(argument: "4")?.quota == Quota(4, each: .second, burst: 4))
    #expect(RateArgument(argument: "4/s")?.quota == Quota(4, each: .second, burst: 4))
    #expect(RateArgument(argument: "90/m")?.quota == Quota(90, each: .minute, burst: 1))
    #expect(RateArgument(argument: "600/m")?.quota == Quota(600, each: .minute, burst: 10))
    #expect(RateArgument(argument: "unlimited").map { $0.quota == nil } == true)
}

@Test("what is no rate is refused", arguments: ["", "0", "-1", "+1", "1/h", "1/", "/s", "1/s/s", "1 /s", "4r/s", "9999999999", "none"])
func noRates(text: String) { #expect(RateArgument(argument: text) == nil) }
