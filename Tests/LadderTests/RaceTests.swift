import Iroh
import Platform
import Testing

@testable import Ladder

private let start = Instant(nanoseconds: 1_000_000_000_000)
private func at(_ milliseconds: Int) -> Instant { start + .milliseconds(milliseconds) }

private let six = keyed("[2a00::1]:1"), four = keyed("203.0.114.1:1"), other = keyed("203.0.114.2:1")
private let name = Domain(name: "example.com", port: 443, key: key(1))
private let tunnel = Way.tunnel(EndpointAddress(id: key(1), addresses: [SocketAddress("203.0.114.3:7")!]))

@Suite struct RaceTests {
    private func race(_ rungs: [[Way]], until deadline: Int = 60_000) -> Race { Race(rungs, until: at(deadline)) }

    /// Whatever stays silent costs those after it a head start: those in its rung and, at the same time, the next rung.
    @Test func silenceHoldsUpNobodyForMoreThanAHeadStart() {
        var race = race([[six, four, other], [.domain(name)], [tunnel]])
        #expect(race.advance(now: at(0)) == [.start(0, six)])
        #expect(race.wakeUp == at(250))
        #expect(race.advance(now: at(249)) == [])
        #expect(race.advance(now: at(250)) == [.start(1, four), .start(2, .domain(name))])
        #expect(race.wakeUp == at(500))
        #expect(race.advance(now: at(500)) == [.start(3, other), .start(4, tunnel)])
        #expect(race.succeeded(4, now: at(600)) == [.stop(0), .stop(1), .stop(2), .stop(3), .won(4)])
        // What had its head start has failed; the one that began 100 ms ago has not.
        #expect(race.failures.map(\.remote) == ["[2a00::1]:1", "203.0.114.1:1", "example.com"])
        #expect(race.failures.map(\.after) == [.milliseconds(600), .milliseconds(350), .milliseconds(350)])
        #expect(race.wakeUp == nil && race.advance(now: at(9000)) == [])
    }

    @Test func aFailureStartsTheNextAtOnce() {
        var race = race([[six, four], [.domain(name)], [tunnel]])
        #expect(race.advance(now: at(0)) == [.start(0, six)])
        #expect(race.failed(0, "Connection refused", now: at(5)) == [.start(1, four)])
        #expect(race.failed(1, "Connection refused", now: at(9)) == [.start(2, .domain(name))])
        let found = Way.certified(SocketAddress("203.0.114.9:443")!, name)
        #expect(race.found(2, [found], now: at(20)) == [.start(3, found)])
        #expect(race.failed(3, "Connection refused", now: at(30)) == [.start(4, tunnel)])
        let inner = UpstreamAttempt(path: .relay, remote: "https://relay.example/", reason: "no answer", after: .seconds(1))
        #expect(race.failed(4, [inner], now: at(40)) == [.lost])
        #expect(race.failures.map(\.path) == [.pubkyTLS, .pubkyTLS, .icann, .relay])
        #expect(race.failures[0] == UpstreamAttempt(path: .pubkyTLS, remote: "[2a00::1]:1", reason: "Connection refused", after: .milliseconds(5)))
    }

    @Test func aSlowLookUpHoldsUpNobody() {
        var race = race([[.domain(name)], [tunnel]])
        #expect(race.advance(now: at(0)) == [.start(0, .domain(name))])
        #expect(race.advance(now: at(250)) == [.start(1, tunnel)])
        let found = ["203.0.114.9:443", "203.0.114.8:443"].map { Way.certified(SocketAddress($0)!, name) }
        #expect(race.found(0, found, now: at(300)) == [.start(2, found[0])])
        #expect(race.advance(now: at(550)) == [.start(3, found[1])])
        #expect(race.succeeded(2, now: at(560)) == [.stop(1), .stop(3), .won(2)])
    }

    @Test func everythingEndsInABoundedTime() {
        var silent = race([[six]])
        _ = silent.advance(now: at(0))
        #expect(silent.wakeUp == at(10_000))
        #expect(silent.advance(now: at(10_000)) == [.stop(0), .lost])

        var late = race([[six, four, other], [tunnel]], until: 300)
        _ = late.advance(now: at(0))
        _ = late.advance(now: at(250))
        #expect(late.wakeUp == at(300))
        #expect(late.advance(now: at(300)) == [.stop(0), .stop(1), .stop(2), .lost])
        #expect(late.failures.map(\.reason) == ["no answer", "no answer", "no answer"])

        var nothing = race([])
        #expect(nothing.advance(now: at(0)) == [.lost])
    }

    @Test func whatIsOverIsOver() {
        var race = race([[six, four]])
        _ = race.advance(now: at(0))
        #expect(race.stopAll(now: at(10)) == [.stop(0)])
        #expect(race.failed(0, "late", now: at(20)) == [] && race.succeeded(0, now: at(20)) == [] && race.found(0, [other], now: at(20)) == [])
        #expect(race.failures.isEmpty && race.wakeUp == nil)
    }

    @Test func theWinnerOfLastTimeComesFirst() {
        var places = Places()
        places.addresses = ["203.0.114.1:1", "203.0.114.2:1", "[2a00::1]:1"].map { KeyedAddress(address: SocketAddress($0)!, key: key(1)) }
        places.domains = [name]
        if case .tunnel(let endpoint) = tunnel { places.endpoints = [endpoint] }
        let usual = [[six, four, other], [.domain(name)], [tunnel]]
        #expect(places.rungs(usesDomains: true, usesTunnels: true, first: nil) == usual)
        #expect(places.rungs(usesDomains: true, usesTunnels: true, first: tunnel) == [[tunnel], usual[0], usual[1]])
        #expect(places.rungs(usesDomains: true, usesTunnels: true, first: other) == [[other, six, four], usual[1], usual[2]])
        #expect(places.rungs(usesDomains: true, usesTunnels: true, first: keyed("203.0.114.77:1")) == usual)
        #expect(places.rungs(usesDomains: false, usesTunnels: false, first: nil) == [usual[0]])
    }
}
