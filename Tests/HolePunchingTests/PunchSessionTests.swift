import Platform
import QUIC
import Testing

@testable import HolePunching

@Suite struct PunchSessions {
    private static let allPairs = NAT.allCases.flatMap { one in NAT.allCases.map { [one, $0] } }

    @Test("A direct path is found between any two NATs that allow one, and none elsewhere", arguments: allPairs)
    func pairs(kinds: [NAT]) {
        let sites = TwoSites(kinds[0], kinds[1])
        sites.begin()
        sites.run()
        let canMeet = NAT.canMeet(kinds[0], kinds[1])
        #expect(sites.found.isEmpty != canMeet)
        #expect(sites.endings == [.probed(foundAny: canMeet)])
    }

    @Test("It takes a round trip over the relay and, where both NATs filter, two of the direct path at most", arguments: allPairs)
    func time(kinds: [NAT]) throws {
        guard NAT.canMeet(kinds[0], kinds[1]) else { return }
        let sites = TwoSites(kinds[0], kinds[1])
        let start = sites.now
        sites.begin()
        sites.run()
        #expect(try #require(sites.foundAt) - start <= .milliseconds(80 + 2 * 20))
    }

    @Test("A path that was found is told of once, with its round trip, and probed no more")
    func foundOnce() {
        let sites = TwoSites(.none, .none)
        sites.begin(knowing: [SocketAddress("198.51.100.7:1")!, sites.server.inside])
        sites.run()
        #expect(sites.found == [PunchSession.FoundPath(path: TwoSites.path(to: sites.server.inside), roundTrip: .milliseconds(20))])
        #expect(sites.direct.filter { $0.from === sites.client && $0.to == sites.server.inside }.count == 1)
    }

    @Test("A third of all datagrams may be lost", arguments: 0..<20)
    func loss(seed: Int) {
        let sites = TwoSites(.home, .home)
        sites.isLost = { ($0 &* 2_654_435_761 &+ seed &* 40_503) >> 7 % 3 == 0 }
        sites.begin()
        sites.run()
        #expect(!sites.found.isEmpty)
    }

    @Test("Neither side sends more probes than it may, whatever the peer names", arguments: NAT.usual)
    func budget(kind: NAT) {
        let sites = TwoSites(kind, .symmetric)
        sites.client.session.candidates = (1...200).map { Candidate(SocketAddress(ip: .v4(0xc633_6400 + $0), port: 7), .host) }
        sites.server.session.candidates = sites.client.session.candidates
        sites.begin()
        sites.run()
        for site in [sites.client, sites.server] {
            let probes = sites.direct.filter { $0.from === site }
            #expect(probes.count <= (ControlMessage.mostCandidates + CheckList.mostPeerReflexive) * (CheckList.pauses.count + 1))
            #expect(probes.count > ControlMessage.mostCandidates * CheckList.pauses.count)
        }
    }

    @Test("All sessions of an endpoint share one budget")
    func sharedBudget() {
        let shared = ProbeBudget()
        var sent = 0
        for _ in 0..<20 {
            let sites = TwoSites(.none, .symmetric, budget: shared)
            sites.server.session.candidates = (1...16).map { Candidate(SocketAddress(ip: .v4(0xc633_6400 + $0), port: 7), .host) }
            sites.begin()
            sites.run()
            sent += sites.direct.filter { $0.from === sites.client }.count
        }
        // All of them begin at the same moment: a burst, and what comes in the seconds of one round.
        #expect(sent < 600 + 300)
    }

    @Test("A peer that does not speak this hears five calls and no more")
    func unanswered() {
        let sites = TwoSites(.none, .none)
        sites.isRelayDead = true
        sites.begin()
        sites.run()
        #expect(sites.endings == [.unanswered])
        #expect(sites.relayed.count == PunchSession.mostCalls)
        #expect(sites.direct.isEmpty)
        #expect(!sites.client.session.isSpoken)
    }

    @Test("A server says nothing before the peer has been let in, and then at once")
    func admission() {
        let sites = TwoSites(.home, .home)
        sites.server.session = PunchSession(.server, keys: keys(.server), budget: ProbeBudget(), route: TwoSites.path)
        sites.server.session.candidates = sites.server.candidates
        sites.begin()
        sites.run()
        #expect(sites.relayed.allSatisfy { $0.from === sites.client })
        #expect(sites.direct.isEmpty)
        #expect(sites.endings == [.unanswered])
        sites.server.session.isAdmitted = true
        sites.run()
        #expect(!sites.found.isEmpty)
    }

    @Test("The server asks for a round when it has another address, and the client begins it")
    func request() {
        let sites = TwoSites(.home, .symmetric)
        sites.begin()
        sites.run()
        #expect(sites.found.isEmpty)
        sites.server.session.request(over: TwoSites.relay)
        sites.run()
        #expect(sites.events.last == .requested)
        sites.server.session.candidates = [Candidate(SocketAddress("203.0.113.2:20001")!, .mapped)]
        #expect(sites.begin())
        sites.run()
        #expect(sites.endings.count == 2)
    }

    @Test("A server that has never been called asks for nothing")
    func requestUnheard() {
        let sites = TwoSites(.home, .home)
        sites.server.session.request(over: TwoSites.relay)
        sites.run()
        #expect(sites.relayed.isEmpty)
    }

    @Test("Rounds come some at once and then few")
    func rounds() {
        let sites = TwoSites(.home, .symmetric)
        var begun = 0
        for _ in 0..<10 {
            if sites.begin() { begun += 1 }
            sites.run(for: .seconds(4))
        }
        #expect((6...10).contains(begun))
        var later = 0
        for _ in 0..<60 {
            if sites.begin() { later += 1 }
            sites.run(for: .seconds(4))
        }
        #expect((20...26).contains(later))
    }

    @Test("A call along a path that is not known to lead to the client is not answered: an address can be made up")
    func spoofed() {
        let sites = TwoSites(.home, .home)
        let call = ControlDatagram.seal(.call(round: 1, candidates: []), number: 1, keys: keys(.client))
        sites.inject(call, to: sites.server, on: TwoSites.path(to: SocketAddress("198.51.100.66:53")!))
        sites.run()
        #expect(sites.direct.isEmpty && sites.relayed.isEmpty)
    }

    @Test("A datagram that comes again does nothing")
    func replay() {
        let sites = TwoSites(.none, .none)
        let probe = ControlDatagram.seal(.probe(round: 1), number: 1, keys: keys(.client))
        for _ in 0..<5 { sites.inject(probe, to: sites.server, on: TwoSites.path(to: SocketAddress("198.51.100.66:53")!)) }
        sites.run()
        #expect(sites.direct.count == 1)
    }

    @Test("A reply to a probe is as long as the probe, and one comes for each")
    func amplification() {
        let probe = ControlDatagram.seal(.probe(round: 1), number: 1, keys: keys(.client))
        let reply = ControlDatagram.seal(.reply(number: 1), number: 1, keys: keys(.server))
        #expect(reply.count == probe.count)
    }

    @Test("A reply from elsewhere than where the probe went finds nothing")
    func strayReply() {
        let sites = TwoSites(.none, .none)
        sites.begin()
        sites.run(for: .milliseconds(81))
        for number in 1...10 as ClosedRange<UInt32> {
            let reply = ControlDatagram.seal(.reply(number: number), number: 100 + UInt64(number), keys: keys(.server))
            sites.inject(reply, to: sites.client, on: TwoSites.path(to: SocketAddress("198.51.100.66:53")!))
        }
        sites.run()
        #expect(Set(sites.found.map(\.path)) == [TwoSites.path(to: sites.server.inside)])
    }
}
