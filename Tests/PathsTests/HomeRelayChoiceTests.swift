import Iroh
import Platform
import Testing

@testable import Paths

private let a = RelayURL("https://a.example/")!, b = RelayURL("https://b.example/")!, c = RelayURL("https://c.example/")!

/// The latency of a relay to which there is no connection.
private let none: Duration = .seconds(-1)

/// Relays and connections to them, with a clock that only moves when told to.
private struct World {
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var choice: HomeRelayChoice
    /// How long an answer to /ping takes.
    var latencies: [RelayURL: Duration]
    /// What becomes of a connection at once; nil: it is there.
    var links: [RelayURL: HomeRelayChoice.Link]
    var connected: Set<RelayURL> = []
    var log: [HomeRelayChoice.Event] = []
    var probes: [RelayURL: Int] = [:]
    private var answers: [(due: Instant, probe: HomeRelayChoice.Probe, result: Result<Duration, HomeRelayChoice.Failure>)] = []

    init(_ latencies: [RelayURL: Duration], list: [RelayURL]? = nil, links: [RelayURL: HomeRelayChoice.Link] = [:]) {
        self.latencies = latencies
        self.links = links
        choice = HomeRelayChoice(list ?? latencies.keys.sorted { $0.description < $1.description }, now: now, chance: { 0.5 })
        take()
    }

    var home: RelayURL? { choice.home }

    /// What happened besides probes and connections.
    mutating func news() -> [HomeRelayChoice.Event] {
        defer { log = [] }
        return log
    }

    private mutating func take() {
        while let event = choice.nextEvent() {
            switch event {
            case .probe(let probe):
                probes[probe.url, default: 0] += 1
                let latency = latencies[probe.url] ?? none
                if latency < .zero {
                    answers.append((now, probe, .failure(.init(url: probe.url, reason: "refused"))))
                } else if latency > probe.timeout {
                    answers.append((now + probe.timeout, probe, .failure(.init(url: probe.url, reason: "timed out"))))
                } else {
                    answers.append((now + latency, probe, .success(latency)))
                }
            case .connect(let url):
                connected.insert(url)
                choice.linkChanged(url, links[url] ?? .connected, now: now)
            case .release(let url): connected.remove(url)
            default: log.append(event)
            }
        }
    }

    mutating func link(_ url: RelayURL, _ link: HomeRelayChoice.Link) {
        choice.linkChanged(url, link, now: now)
        take()
    }

    mutating func set(_ list: [RelayURL]) {
        choice.setRelays(list, now: now)
        take()
    }

    /// Lets a time pass, with all that falls due in it at its time.
    mutating func pass(_ duration: Duration) {
        let end = now + duration
        var turns = 0
        while true {
            let due = ([choice.deadline].compactMap { $0 } + answers.map(\.due)).min()
            guard let due, due <= end else { break }
            now = max(now, due)
            turns += 1
            guard turns < 10_000 else {
                Issue.record("a deadline that is due stays due")
                return
            }
            if let index = answers.firstIndex(where: { $0.due <= now }) {
                let answer = answers.remove(at: index)
                choice.probed(answer.probe, answer.result, now: now)
            } else {
                choice.handleDeadline(now: now)
            }
            take()
        }
        now = end
    }
}

private func ms(_ count: Int) -> Duration { .milliseconds(count) }

@Test("The relay that answers quickest is home, and no more than half a second is waited for the others")
func quickestRelay() {
    var world = World([a: ms(80), b: ms(20), c: ms(2000)])
    world.pass(ms(519))
    #expect(world.home == nil)
    world.pass(ms(2))
    #expect(world.news() == [.moved(from: nil, to: b)])
    #expect(world.connected == [b])
}

@Test("When all have answered nothing is waited for")
func allAnswered() {
    var world = World([a: ms(80), b: ms(20)])
    world.pass(ms(161))
    #expect(world.home == b)
}

@Test("The latency is that of the better of two answers, and a relay that fails is tried three times")
func triesOfARound() {
    var world = World([a: ms(10), b: none])
    world.pass(.seconds(10))
    #expect(world.probes == [a: 2, b: 3])
    #expect(world.home == a)
}

@Test("A relay that gives no answer within three seconds counts as silent, which is said once")
func silence() {
    var world = World([a: .seconds(60), b: none])
    world.pass(ms(2999))
    #expect(world.news() == [])
    world.pass(ms(2))
    #expect(world.news() == [.noAnswer([.init(url: a, reason: "timed out"), .init(url: b, reason: "refused")])])
    world.pass(.seconds(600))
    #expect(world.news() == [])
    // Rounds of three seconds, with pauses of half a minute less chance.
    #expect((20...40).contains(world.probes[a]!))
    world.latencies[b] = ms(5)
    world.pass(.seconds(35))
    #expect(world.news() == [.moved(from: nil, to: b)])
}

@Test("A home relay is left for one below two thirds of its latency in two rounds running, when that is connected")
func clearlyNearer() {
    var world = World([a: ms(30), b: ms(50)])
    world.pass(.seconds(1))
    #expect(world.news() == [.moved(from: nil, to: a)])
    world.latencies[b] = ms(19)
    world.pass(.seconds(316))
    #expect(world.news() == [])
    world.pass(.seconds(316))
    #expect(world.news() == [.moved(from: a, to: b)])
    // The old one is still listened to for a while.
    #expect(world.connected == [a, b])
    world.pass(HomeRelayChoice.farewell)
    #expect(world.connected == [b])
    #expect(world.news() == [])
}

@Test("Two thirds are not clearly nearer, and neither is one better round", arguments: [20, 19])
func notClearlyNearer(latency: Int) {
    var world = World([a: ms(30), b: ms(50)])
    world.pass(.seconds(1))
    for round in 0..<10 {
        world.latencies[b] = ms(latency < 20 && round % 2 == 0 ? 25 : latency)
        world.pass(.seconds(315))
    }
    #expect(world.news() == [.moved(from: nil, to: a)])
    #expect(world.connected == [a])
}

@Test("A nearer relay that can't be connected to moves nothing and is let go of")
func nearerButNotThere() {
    var world = World([a: ms(30), b: ms(50)], links: [b: .down(reason: "forbidden")])
    world.pass(.seconds(1))
    world.latencies[b] = ms(10)
    world.pass(.seconds(3600))
    #expect(world.news() == [.moved(from: nil, to: a)])
    #expect(world.connected.contains(a))
}

@Test("A home relay whose connection is lost for two seconds is left for the next best at once")
func lostHome() {
    var world = World([a: ms(10), b: ms(40), c: ms(30)])
    world.pass(.seconds(1))
    _ = world.news()
    world.latencies[a] = none
    world.link(a, .down(reason: "connection reset"))
    world.link(a, .connecting)
    world.pass(ms(1999))
    #expect(world.news() == [])
    world.pass(ms(1))
    #expect(world.news() == [.lost(a, reason: "connection reset"), .moved(from: a, to: c)])
}

@Test("A home relay that is back within two seconds stays home, and nobody hears of it")
func shortInterruption() {
    var world = World([a: ms(10), b: ms(12)])
    world.pass(.seconds(1))
    _ = world.news()
    for _ in 0..<100 {
        world.link(a, .down(reason: "connection reset"))
        world.pass(ms(1900))
        world.link(a, .connected)
        world.pass(ms(1900))
    }
    #expect(world.news() == [])
    #expect(world.home == a)
}

@Test("A home relay that has said it restarts is given five seconds")
func restart() {
    var world = World([a: ms(10), b: ms(12)])
    world.pass(.seconds(1))
    _ = world.news()
    world.link(a, .restarting)
    world.link(a, .down(reason: "connection refused"))
    world.pass(ms(4999))
    #expect(world.home == a)
    world.link(a, .connected)
    world.link(a, .restarting)
    world.pass(.seconds(5))
    #expect(world.news() == [.lost(a, reason: "restarts"), .moved(from: a, to: b)])
}

@Test("A former home relay that comes back does not become home again by that")
func noFlapping() {
    var world = World([a: ms(10), b: ms(12)])
    world.pass(.seconds(1))
    world.link(a, .down(reason: "gone"))
    world.pass(.seconds(3))
    #expect(world.home == b)
    _ = world.news()
    world.link(a, .connected)
    world.pass(.seconds(3600))
    #expect(world.news() == [])
    #expect(world.connected == [b])
}

@Test("The only relay stays announced while it is away; that is said once, and when it is back")
func onlyRelay() {
    var world = World([a: ms(10)])
    world.pass(.seconds(1))
    _ = world.news()
    world.latencies[a] = none
    world.link(a, .down(reason: "refused"))
    world.pass(.seconds(600))
    #expect(world.news() == [.lost(a, reason: "refused")])
    #expect(world.home == a)
    world.link(a, .connected)
    #expect(world.news() == [.found(a)])
    // One that comes and goes is not told of each time.
    for _ in 0..<10 {
        world.link(a, .down(reason: "refused"))
        world.pass(.seconds(3))
        world.link(a, .connected)
        world.pass(.seconds(1))
    }
    #expect(world.news() == [.lost(a, reason: "refused"), .found(a)])
}

@Test("A home relay that is back before the next is connected stays home, and the next is let go of")
func backBeforeTheNext() {
    var world = World([a: ms(10), b: ms(12)], links: [b: .connecting])
    world.pass(.seconds(1))
    world.link(a, .down(reason: "gone"))
    world.pass(.seconds(3))
    #expect(world.connected == [a, b])
    world.link(a, .connected)
    #expect(world.connected == [a])
    #expect(world.news() == [.moved(from: nil, to: a), .lost(a, reason: "gone"), .found(a)])
}

@Test("A relay that does not get connected within two seconds gives way to the next best, but is not given up while there is none")
func slowLink() {
    var world = World([a: ms(10), b: ms(20)], links: [a: .connecting, b: .connecting])
    world.pass(ms(2050))
    #expect(world.connected == [a, b])
    world.pass(.seconds(10))
    #expect(world.news() == [.noAnswer([.init(url: a, reason: "no answer"), .init(url: b, reason: "no answer")])])
    world.link(a, .connected)
    #expect(world.news() == [.moved(from: nil, to: a)])
    #expect(world.connected == [a])
}

@Test("A relay that refuses us is told of and left out until it takes us")
func refusal() {
    var world = World([a: ms(10), b: ms(20)], links: [a: .refused(reason: "not authorized")])
    world.pass(.seconds(1))
    #expect(world.news() == [.refused(a, reason: "not authorized"), .moved(from: nil, to: b)])
    // Its link goes on trying, slowly.
    #expect(world.connected == [a, b])
    world.link(a, .connecting)
    world.link(a, .refused(reason: "not authorized"))
    world.pass(.seconds(3600))
    #expect(world.news() == [])
    #expect(world.probes[a] == 2)
    world.latencies[b] = ms(100)
    world.links[a] = .connected
    world.link(a, .connected)
    #expect(world.connected == [b])
    world.pass(.seconds(3600))
    #expect(world.news() == [.moved(from: b, to: a)])
}

@Test("A home relay that refuses us from now on is left; with no other there is none until it takes us again")
func laterRefusal() {
    var world = World([a: ms(10)])
    world.pass(.seconds(1))
    _ = world.news()
    world.link(a, .refused(reason: "denied"))
    #expect(world.news() == [.refused(a, reason: "denied"), .moved(from: a, to: nil)])
    world.pass(.seconds(3600))
    world.link(a, .connected)
    #expect(world.news() == [.moved(from: nil, to: a)])
}

@Test("That all refuse us is said once, and not while one may yet take us")
func refusedByAll() {
    var world = World([a: ms(10), b: ms(20)], links: [a: .refused(reason: "no"), b: .refused(reason: "never")])
    world.pass(.seconds(1))
    #expect(world.news() == [.refused(a, reason: "no"), .refusedByAll([.init(url: a, reason: "no"), .init(url: b, reason: "never")])])
    world.pass(.seconds(3600))
    #expect(world.news() == [])
    var other = World([a: ms(10), b: none], links: [a: .refused(reason: "no")])
    other.pass(.seconds(3600))
    #expect(other.news() == [.refused(a, reason: "no"), .noAnswer([.init(url: b, reason: "refused")])])
}

@Test("With a changed list the home relay stays if it is on it, else it is left when another is connected")
func changedList() {
    var world = World([a: ms(30), b: ms(10), c: ms(5)], list: [a, b])
    world.pass(.seconds(1))
    _ = world.news()
    world.set([b, c])
    world.pass(.seconds(1))
    #expect(world.news() == [])
    // What is known of c is enough to connect to it at once.
    world.set([a, c])
    #expect(world.news() == [.moved(from: b, to: c)])
    #expect(world.connected == [b, c])
    world.pass(HomeRelayChoice.farewell)
    #expect(world.connected == [c])
    world.set([])
    #expect(world.news() == [.moved(from: c, to: nil)])
    world.pass(HomeRelayChoice.farewell)
    #expect(world.connected == [])
    #expect(world.choice.deadline == nil)
    world.set([a, a])
    world.pass(.seconds(1))
    #expect(world.news() == [.moved(from: nil, to: a)])
}

@Test("Without relays nothing is ever due")
func noRelays() {
    var world = World([:])
    #expect(world.choice.deadline == nil)
    world.pass(.seconds(3600))
    #expect(world.news() == [])
}

@Test("Whatever happens: the home relay is listed or has no successor, it holds a connection, and nothing due stays due", arguments: 0..<40)
func anything(seed: Int) {
    var random = Seeded(state: UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1)
    var world = World([a: ms(10), b: ms(20), c: none])
    for _ in 0..<100 {
        let url = [a, b, c][random.below(3)]
        switch random.below(8) {
        case 0: world.latencies[url] = none
        case 1, 2: world.latencies[url] = ms(1 + random.below(4000))
        case 3: if world.connected.contains(url) { world.link(url, .down(reason: "down")) }
        case 4: if world.connected.contains(url) { world.link(url, .refused(reason: "refused")) }
        case 5: if world.connected.contains(url) { world.link(url, .connected) }
        case 6: world.links[url] = [.connecting, .connected, .down(reason: "down"), .refused(reason: "refused")][random.below(4)]
        default: world.set([a, b, c].filter { _ in random.below(3) > 0 })
        }
        world.pass(ms([0, 10, 1000, 2500, 400_000][random.below(5)]))
        if let home = world.home { #expect(world.connected.contains(home)) }
        let ready = world.choice.relays.filter { $0.isListed && $0.link == .connected }
        if world.home == nil { #expect(ready.isEmpty) }
    }
}

private struct Seeded {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(bound))
    }
}
