import Platform
import Testing

@testable import Discovery

private let start = Instant(nanoseconds: 5_000_000_000)

@Test("a wait doubles after each failure up to the longest, half of it by chance")
func backoff() {
    let backoff = Backoff(first: .seconds(1), longest: .seconds(30))
    #expect((1...7).map { backoff.delay(after: $0, chance: 1) } == [1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
    #expect(backoff.delay(after: 3, chance: 0) == .seconds(2))
    #expect(backoff.delay(after: 3, chance: 0.5) == .seconds(3))
    #expect(backoff.delay(after: .max, chance: 1) == .seconds(30))
}

@Test("no more is under way at a source than may be")
func bounded() {
    var pace = SourcePace(mostUnderWay: 2)
    pace.begin()
    #expect(pace.state(now: start) == .ready)
    pace.begin()
    #expect(pace.state(now: start) == .busy)
    pace.end(.answered, now: start, chance: 0)
    #expect(pace.state(now: start) == .ready)
}

@Test("a source that asks for a pause gets it, the longest of several")
func pause() {
    var pace = SourcePace(mostUnderWay: 4)
    for _ in 0..<2 { pace.begin() }
    pace.end(.askedForPause(.seconds(7)), now: start, chance: 0)
    pace.end(.askedForPause(.seconds(1)), now: start, chance: 0)
    #expect(pace.state(now: start + .seconds(6)) == .resting(until: start + .seconds(7)))
    #expect(pace.state(now: start + .seconds(7)) == .ready)
    #expect(!pace.isGone)
}

@Test("a source without answers is gone, is asked once in a while, and is back with its first answer")
func gone() {
    var pace = SourcePace(mostUnderWay: 8)
    for _ in 0..<8 { pace.begin() }
    for _ in 0..<2 { pace.end(.noAnswer, now: start, chance: 1) }
    #expect(!pace.isGone)
    // Those that fail together do not lengthen the wait.
    for _ in 0..<6 { pace.end(.noAnswer, now: start, chance: 1) }
    #expect(pace.state(now: start) == .gone(until: start + .seconds(2)))
    let later = start + .seconds(2)
    #expect(pace.state(now: later) == .ready)
    pace.begin()
    pace.end(.noAnswer, now: later, chance: 1)
    guard case .gone(let until) = pace.state(now: later) else { return #expect(Bool(false), "it has not answered") }
    #expect(until - later == .seconds(60))
    pace.begin()
    pace.end(.answered, now: until, chance: 1)
    #expect(!pace.isGone && pace.state(now: until) == .ready)
}

@Test("a queue gives its elements in order, whatever has been added and taken between")
func queue() {
    var queue = FIFO<Int>()
    var expected = 0
    for number in 0..<1000 {
        queue.append(number)
        if number % 3 != 0 {
            #expect(queue.removeFirst() == expected)
            expected += 1
        }
    }
    #expect(Array(queue) == Array(expected..<1000))
    #expect(queue.count == 1000 - expected && !queue.isEmpty)
}
