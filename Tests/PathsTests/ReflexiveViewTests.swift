import Platform
import STUN
import Testing

@testable import Paths

/// Servers that answer as a NAT of some kind has them, and the clock.
private struct Outside {
    var view = ReflexiveView(of: 0, isV6: false)
    var now = Instant(nanoseconds: 1_000_000_000)
    /// What each server sees; silent ones are not there.
    var seen: [SocketAddress: SocketAddress]
    var asked: [SocketAddress] = []
    /// When rounds began.
    var rounds: [Instant] = []

    init(_ seen: [(String, String)]) {
        self.seen = Dictionary(uniqueKeysWithValues: seen.map { (SocketAddress($0)!, SocketAddress($1)!) })
        view.setServers(self.seen.keys.sorted { $0.description < $1.description }, now: now)
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while view.deadline <= end {
            now = max(now, view.deadline)
            while let request = view.nextRequest(now: now) {
                if !asked.contains(request.server) || rounds.last != now { asked.append(request.server) }
                if rounds.last.map({ now - $0 > .seconds(2) }) ?? true { rounds.append(now) }
                guard let source = seen[request.server] else { continue }
                let answer = STUNMessage.answer(to: request.datagram, from: source)!
                let isTaken = answer.withUnsafeBytes { view.take($0, from: request.server, now: now) }
                #expect(isTaken)
            }
        }
        now = end
    }
}

private let home = SocketAddress("203.0.113.9:61000")!

@Test("two servers that see the same make the mapping independent, and two that don't a symmetric NAT's")
func mappings() {
    var outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000"), ("192.0.2.2:3478", "203.0.113.9:61000")])
    #expect(outside.view.mapping { _ in false } == .unknown)
    outside.run(for: .seconds(1))
    #expect(outside.view.addresses == [home])
    #expect(outside.view.mapping { _ in false } == .independent)
    #expect(outside.view.mapping { $0 == home } == .none)
    outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000"), ("192.0.2.2:3478", "203.0.113.9:61001")])
    outside.run(for: .seconds(1))
    #expect(outside.view.mapping { _ in false } == .dependent)
    // One address with two ports may have one mapping: nothing is known.
    outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000"), ("192.0.2.1:3479", "203.0.113.9:61000")])
    outside.run(for: .seconds(1))
    #expect(outside.view.mapping { _ in false } == .unknown)
}

@Test("a mapping is used before the shortest common time-out is over, again and again")
func keepingOpen() {
    var outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000")])
    outside.run(for: .seconds(101))
    #expect(outside.rounds.count == 5)
    for (one, next) in zip(outside.rounds, outside.rounds.dropFirst()) { #expect(next - one + STUNClient.waits[0] < .seconds(30)) }
}

@Test("a server that has been silent for two rounds does not count, and is asked on")
func silentServers() {
    var outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000"), ("192.0.2.2:3478", "203.0.113.9:61000")])
    outside.run(for: .seconds(2))
    outside.seen[SocketAddress("192.0.2.2:3478")!] = nil
    outside.run(for: .seconds(28))
    #expect(outside.view.mapping { _ in false } == .independent)
    outside.run(for: .seconds(30))
    #expect(outside.view.mapping { _ in false } == .unknown)
    #expect(outside.view.addresses == [home])
    outside.seen = [:]
    outside.run(for: .seconds(60))
    #expect(outside.view.addresses == [])
    outside.seen = [SocketAddress("192.0.2.2:3478")!: home]
    outside.run(for: .seconds(30))
    #expect(outside.view.addresses == [home])
}

@Test("another network makes what was seen void, and is asked about at once")
func otherNetwork() {
    var outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000")])
    outside.run(for: .seconds(3))
    outside.seen[SocketAddress("192.0.2.1:3478")!] = SocketAddress("198.51.100.1:4433")!
    outside.view.networkChanged(now: outside.now)
    #expect(outside.view.addresses == [])
    outside.run(for: .zero)
    #expect(outside.view.addresses == [SocketAddress("198.51.100.1:4433")!])
}

@Test("a mapping that has changed is not taken for one that depends on who is sent to")
func movedMapping() {
    var outside = Outside([("192.0.2.1:3478", "203.0.113.9:61000"), ("192.0.2.2:3478", "203.0.113.9:61000")])
    outside.run(for: .seconds(3))
    outside.seen = outside.seen.mapValues { _ in SocketAddress("203.0.113.10:4433")! }
    // The first answers, the other's answer is still under way.
    outside.now = outside.view.deadline
    let request = outside.view.nextRequest(now: outside.now)!
    let answer = STUNMessage.answer(to: request.datagram, from: SocketAddress("203.0.113.10:4433")!)!
    let isTaken = answer.withUnsafeBytes { outside.view.take($0, from: request.server, now: outside.now) }
    #expect(isTaken)
    #expect(outside.view.addresses == [SocketAddress("203.0.113.10:4433")!])
    #expect(outside.view.mapping { _ in false } == .unknown)
    outside.run(for: .seconds(1))
    #expect(outside.view.mapping { _ in false } == .independent)
}

@Test("of many servers a few are asked, and only those of the socket's family")
func manyServers() {
    var outside = Outside((1...9).map { ("192.0.2.\($0):3478", "203.0.113.9:61000") })
    outside.run(for: .seconds(1))
    #expect(outside.asked.count == STUNClient.mostServers)
    outside.view.setServers([SocketAddress("[2001:db8::1]:3478")!], now: outside.now)
    #expect(outside.view.deadline == .never)
}
