import Platform
import Testing

@testable import PortMapping

private let host = IPAddress("192.168.1.2")!
private let start = Instant(nanoseconds: 1_000_000_000)

/// A router that speaks some of the protocols.
private final class StandIn {
    var speaks: Set<MappingProtocol>
    var external = IPAddress("203.0.113.9")!
    var started = start
    var mapped: [UInt16: UInt16] = [:]
    var asked: [PortMapper.Request] = []
    var now = start
    var lifetime: UInt32 = 7200

    init(_ speaks: MappingProtocol...) { self.speaks = Set(speaks) }

    func ask(_ request: PortMapper.Request) -> Result<MappingGrant, MappingRefusal> {
        asked.append(request)
        guard speaks.contains(request.protocol) else { return .failure(MappingRefusal("no answer", isUnspoken: true)) }
        if request.lifetime == 0 {
            mapped[request.port] = nil
        } else if mapped[request.port] == nil {
            mapped[request.port] = request.suggested.port
        }
        let epoch = request.protocol == .upnp ? nil : UInt32((now - started).nanoseconds / 1_000_000_000)
        return .success(MappingGrant(
            external: SocketAddress(ip: external, port: mapped[request.port] ?? 0), lifetime: min(lifetime, request.lifetime), epoch: epoch))
    }

    /// What the mapper tells when its time has come.
    func work(_ mapper: inout PortMapper, at host: IPAddress? = host) -> [PortMapper.Event] {
        now = max(now, mapper.deadline)
        return mapper.work(at: host, now: now, ask)
    }
}

private func mapper(_ ports: UInt16..., protocols: [MappingProtocol] = MappingProtocol.allCases) -> PortMapper {
    PortMapper(ports: ports, protocols: protocols, interval: .seconds(60), now: start)
}

private func mapping(_ port: UInt16, _ external: String, _ way: MappingProtocol) -> PortMapping {
    PortMapping(from: SocketAddress(external)!, to: SocketAddress(ip: host, port: port), by: way, lifetime: 7200)
}

@Test("the first protocol that the router speaks is used, for all ports, and others are asked no more than once")
func firstSpoken() {
    let router = StandIn(.natpmp, .upnp)
    var mapper = mapper(4433, 4434)
    #expect(router.work(&mapper) == [.mapped(mapping(4433, "203.0.113.9:4433", .natpmp)), .mapped(mapping(4434, "203.0.113.9:4434", .natpmp))])
    #expect(router.asked.map(\.protocol) == [.pcp, .natpmp, .natpmp])
    #expect(mapper.deadline == start + .seconds(60))
}

@Test("a mapping that is still there is no news, one that has moved is")
func confirmation() {
    let router = StandIn(.upnp)
    var mapper = mapper(4433, protocols: [.upnp])
    _ = router.work(&mapper)
    #expect(router.work(&mapper) == [])
    router.external = IPAddress("203.0.113.10")!
    #expect(router.work(&mapper) == [.mapped(mapping(4433, "203.0.113.10:4433", .upnp))])
    router.speaks = []
    // It may have been busy.
    #expect(router.work(&mapper) == [])
    #expect(mapper.deadline == router.now + PortMapper.settling)
    let events = router.work(&mapper)
    #expect(events == [.unmapped(port: 4433, formerly: mapping(4433, "203.0.113.10:4433", .upnp), reason: "upnp: no answer")])
}

@Test("a router that has restarted is found out by its clock, and looked at again soon")
func restart() {
    let router = StandIn(.pcp)
    var mapper = mapper(4433)
    _ = router.work(&mapper)
    router.mapped = [4433: 61000]
    router.started = router.now + .seconds(50)
    #expect(router.work(&mapper) == [.restarted, .mapped(mapping(4433, "203.0.113.9:61000", .pcp))])
    #expect(mapper.deadline == router.now + PortMapper.settling)
    #expect(router.work(&mapper) == [])
    #expect(mapper.deadline == router.now + .seconds(60))
    // The external address and port that there are are asked for again.
    #expect(router.asked.last?.suggested == SocketAddress("203.0.113.9:61000")!)
}

@Test("a mapping is renewed before half its time is over")
func renewal() {
    let router = StandIn(.natpmp)
    router.lifetime = 30
    var mapper = mapper(4433)
    _ = router.work(&mapper)
    #expect(mapper.deadline == start + .seconds(15))
}

@Test("without a mapping attempts become rarer, the reason is told once, and another network begins anew")
func retries() {
    let router = StandIn()
    var mapper = mapper(4433)
    let reason = "pcp: no answer; natpmp: no answer; upnp: no answer"
    #expect(router.work(&mapper) == [.unmapped(port: 4433, formerly: nil, reason: reason)])
    var pauses: [Duration] = []
    for _ in 0..<6 {
        pauses.append(mapper.deadline - router.now)
        #expect(router.work(&mapper) == [])
    }
    #expect(pauses == [.seconds(15), .seconds(30), .seconds(60), .seconds(120), .seconds(240), .seconds(480)])
    #expect(router.work(&mapper, at: nil) == [.unmapped(port: 4433, formerly: nil, reason: "there is no router")])
    router.speaks = [.upnp]
    mapper.networkChanged(now: router.now)
    #expect(mapper.deadline == router.now)
    #expect(router.work(&mapper) == [.mapped(mapping(4433, "203.0.113.9:4433", .upnp))])
}

@Test("a router behind another NAT is of no use, and gets its mapping back", arguments: ["100.64.0.2", "192.168.0.2", "0.0.0.0"])
func doubleNAT(_ external: String) {
    let router = StandIn(.pcp)
    router.external = IPAddress(external)!
    var mapper = mapper(4433)
    let reason = "the router is behind another NAT itself: its address is \(external)"
    #expect(router.work(&mapper) == [.unmapped(port: 4433, formerly: nil, reason: reason)])
    #expect(router.mapped == [:])
}

@Test("a host with a public address asks nobody")
func publicHost() {
    let router = StandIn(.pcp)
    var mapper = mapper(4433)
    _ = router.work(&mapper, at: IPAddress("203.0.113.7"))
    #expect(router.asked.isEmpty)
}

@Test("what was mapped is given back, and nothing else")
func withdrawal() {
    let router = StandIn(.natpmp)
    var mapper = mapper(4433, 4434)
    _ = router.work(&mapper)
    let events = mapper.withdraw(router.ask)
    #expect(events.count == 2 && router.mapped == [:])
    #expect(mapper.withdraw(router.ask) == [])
}

@Test("clocks may differ by a sixteenth and two seconds", arguments: [
    (100, 160, 60, false), (100, 101, 60, true), (100, 99, 0, false), (100, 98, 0, true), (0, 62, 60, false), (0, 70, 60, true),
    (100, 156, 60, false), (100, 100, 2, false), (4_294_967_000, 4_294_967_060, 60, false),
] as [(UInt32, UInt32, Int, Bool)])
func epochs(_ first: UInt32, _ second: UInt32, _ seconds: Int, _ hasRestarted: Bool) {
    var epoch = RouterEpoch()
    let before = epoch.note(first, now: start), after = epoch.note(second, now: start + .seconds(seconds))
    #expect(!before)
    #expect(after == hasRestarted)
}
