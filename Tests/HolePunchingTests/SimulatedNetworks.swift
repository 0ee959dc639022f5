import Platform
import QUIC

@testable import HolePunching

/// What stands between a host and the Internet (RFC 4787, sections 4.1 and 5).
enum NAT: CaseIterable {
    case none, fullCone, home, symmetric, blocked

    static let usual: [NAT] = [.none, .fullCone, .home, .symmetric]

    /// Whether two of these can reach each other directly after both have sent something: one lets in everybody, or one has the port that the
    /// other has been told.
    static func canMeet(_ one: NAT, _ other: NAT) -> Bool {
        if one == .blocked || other == .blocked { return false }
        return one.isOpen || other.isOpen || one.keepsPort && other.keepsPort
    }

    private var isOpen: Bool { self == .none || self == .fullCone }
    private var keepsPort: Bool { self != .symmetric }
}

/// A host behind its NAT.
final class Site {
    let inside: SocketAddress
    private let nat: NAT
    private let outside: IPAddress
    private var ports: [SocketAddress: UInt16] = [:]
    private var lastPort: UInt16 = 20_000
    private var sentTo: Set<SocketAddress> = []
    var session: PunchSession!

    init(_ number: UInt32, _ nat: NAT) {
        self.nat = nat
        outside = .v4(0xcb00_7100 + number)
        inside = SocketAddress(ip: nat == .none ? outside : .v4(0x0a00_0000 + number), port: 4433)
    }

    /// Where others see a packet to `remote` come from; nil if it does not get out.
    func send(to remote: SocketAddress) -> SocketAddress? {
        guard nat != .blocked else { return nil }
        sentTo.insert(remote)
        guard nat != .none else { return inside }
        let key = nat == .symmetric ? remote : inside
        if ports[key] == nil {
            lastPort += 1
            ports[key] = lastPort
        }
        return SocketAddress(ip: outside, port: ports[key]!)
    }

    /// Whether a packet from `remote` to one of our public addresses gets in.
    func lets(in remote: SocketAddress, to address: SocketAddress) -> Bool {
        switch nat {
        case .blocked: false
        case .none: address == inside
        case .fullCone: ports[inside] == address.port && address.ip == outside
        case .home: ports[inside] == address.port && address.ip == outside && sentTo.contains(remote)
        case .symmetric: address.ip == outside && ports[remote] == address.port
        }
    }

    /// What is known of our addresses after a STUN server has been asked.
    var candidates: [Candidate] {
        let server = SocketAddress("198.51.100.1:3478")!
        let reflexive = send(to: server).map { [Candidate($0, .reflexive)] } ?? []
        return [Candidate(inside, .host)] + reflexive.filter { $0.address != inside }
    }
}

/// Two sessions, the Internet between them, and a relay.
final class TwoSites {
    let client: Site
    let server: Site
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// One way.
    var relayDelay: Duration = .milliseconds(40)
    var delay: (SocketAddress) -> Duration = { _ in .milliseconds(10) }
    /// Whether a datagram gets lost, by how many were sent before it.
    var isLost: (Int) -> Bool = { _ in false }
    private(set) var events: [PunchSession.Event] = []
    private(set) var foundAt: Instant?
    /// Datagrams over UDP, whether or not they arrive, and through the relay.
    private(set) var direct: [(from: Site, to: SocketAddress)] = []
    private(set) var relayed: [(from: Site, bytes: [UInt8])] = []
    private var underway: [(arrival: Instant, to: Site, path: NetworkPath, bytes: [UInt8])] = []
    /// Whether the relay carries nothing.
    var isRelayDead = false

    static let relay = NetworkPath(relay: 1, to: .init(bytes: [UInt8](repeating: 9, count: 32))!)
    static func path(to address: SocketAddress) -> NetworkPath { NetworkPath(transport: 0, remote: address) }

    init(_ client: NAT, _ server: NAT, budget: ProbeBudget = ProbeBudget()) {
        self.client = Site(1, client)
        self.server = Site(2, server)
        self.client.session = PunchSession(.client, keys: keys(.client), budget: budget, route: Self.path)
        self.server.session = PunchSession(.server, keys: keys(.server), budget: ProbeBudget(), route: Self.path)
        for site in [self.client, self.server] { site.session.candidates = site.candidates }
        self.server.session.isAdmitted = true
    }

    @discardableResult
    func begin(knowing addresses: [SocketAddress] = []) -> Bool {
        client.session.begin(knowing: addresses, over: Self.relay, roundTrip: relayDelay * 2, now: now)
    }

    var found: [PunchSession.FoundPath] { events.compactMap { if case .found(let path) = $0 { path } else { nil } } }
    var endings: [PunchSession.Ending] { events.compactMap { if case .ended(let ending) = $0 { ending } else { nil } } }

    /// Sends a datagram again, to a site, as if it came along a path.
    func inject(_ bytes: [UInt8], to site: Site, on path: NetworkPath) {
        bytes.withUnsafeBytes { site.session.receive($0, on: path, isProved: path.isRelayed, now: now) }
    }

    /// Lets everything happen until nothing is due any more, or the time is over.
    func run(for limit: Duration = .seconds(60)) {
        let end = now + limit
        while true {
            for site in [client, server] { for event in site.session.takeEvents(now: now) { take(event, of: site) } }
            let next = [underway.map(\.arrival).min(), client.session.deadline, server.session.deadline].compactMap { $0 }.min()
            guard let next, next <= end else { break }
            now = max(now, next)
            for site in [client, server] where (site.session.deadline ?? .never) <= now { site.session.handleDeadline(now: now) }
            let arrived = underway.filter { $0.arrival <= now }
            underway.removeAll { $0.arrival <= now }
            for (_, site, path, bytes) in arrived {
                bytes.withUnsafeBytes { site.session.receive($0, on: path, isProved: path.isRelayed, now: now) }
            }
        }
        now = end
    }

    private func take(_ event: PunchSession.Event, of site: Site) {
        guard case .send(let bytes, let path) = event else {
            if case .found = event, foundAt == nil { foundAt = now }
            return events.append(event)
        }
        let peer = site === client ? server : client
        guard let address = path.address else {
            relayed.append((site, bytes))
            if !isRelayDead, !isLost(relayed.count + direct.count) { underway.append((now + relayDelay, peer, Self.relay, bytes)) }
            return
        }
        direct.append((site, address))
        guard let source = site.send(to: address), peer.lets(in: source, to: address), !isLost(relayed.count + direct.count) else { return }
        underway.append((now + delay(address), peer, Self.path(to: source), bytes))
    }
}
