import Platform
import STUN

/// How a NAT between us and the Internet chooses the public address of a socket (RFC 4787, section 4.1).
public enum AddressMapping: String, Sendable {
    /// No server, or only one, has answered.
    case unknown
    /// There is no NAT: what servers see is an address of this machine.
    case none
    /// The same whomever we send to, so that one server's answer tells what another peer will see.
    case independent
    /// Another for each destination: a symmetric NAT, through which nobody finds us by what a server has seen.
    case dependent
}

/// What STUN servers see of one socket. Sans-I/O.
struct ReflexiveView {
    /// Between rounds. The shortest common lifetime of a UDP mapping is 30 s (Linux's for flows without an answer; RFC 4787, REQ-5, wants
    /// two minutes), and the second try of a request still has to come before it is over.
    static let interval: Duration = .seconds(25)
    /// After a round without an answer comes another soon; after two, UDP is blocked, or no server is there.
    static let retry: Duration = .seconds(5)
    /// A server that has not answered for so many rounds does not count any more.
    static let mostSilences = 2

    private struct Server {
        var address: SocketAddress
        var seen: SocketAddress?
        var silences = 0
        var hasAnswered = false
    }

    /// The number of the socket.
    let socket: Int
    let isV6: Bool
    private var servers: [Server] = []
    private var client = STUNClient()
    private var nextRound = Instant.never
    private var isUnderWay = false
    private(set) var failedRounds = 0

    init(of socket: Int, isV6: Bool) {
        self.socket = socket
        self.isV6 = isV6
    }

    var hasServers: Bool { !servers.isEmpty }

    /// The addresses that we are seen at, each once.
    var addresses: [SocketAddress] {
        var found: [SocketAddress] = []
        for case let seen? in servers.map(\.seen) where !found.contains(seen) { found.append(seen) }
        return found
    }

    /// - Parameter isOwn: Whether an address is one of this machine.
    func mapping(isOwn: (SocketAddress) -> Bool) -> AddressMapping {
        let found = addresses
        if found.count > 1 { return .dependent }
        guard let only = found.first else { return .unknown }
        if isOwn(only) { return .none }
        return Set(servers.filter { $0.seen != nil }.map(\.address.ip)).count > 1 ? .independent : .unknown
    }

    /// Replaces the servers; what those that stay have said still counts.
    mutating func setServers(_ addresses: [SocketAddress], now: Instant) {
        let chosen = addresses.filter { $0.ip.isV6 == isV6 }.prefix(STUNClient.mostServers)
        guard chosen.elementsEqual(servers.map(\.address)) == false else { return }
        let former = servers
        servers = chosen.map { address in former.first { $0.address == address } ?? Server(address: address) }
        nextRound = servers.isEmpty ? .never : now
        isUnderWay = false
        client.stop()
    }

    /// What was seen was seen of another network; servers are asked at once.
    mutating func networkChanged(now: Instant) {
        servers = servers.map { Server(address: $0.address) }
        failedRounds = 0
        isUnderWay = false
        client.stop()
        if !servers.isEmpty { nextRound = now }
    }

    /// The next datagram to send now; nil when none is due.
    mutating func nextRequest(now: Instant) -> (datagram: [UInt8], server: SocketAddress)? {
        if let request = client.nextRequest(now: now) { return request }
        finishRound(now: now)
        guard nextRound <= now, !isUnderWay else { return nil }
        isUnderWay = true
        nextRound = now + Self.interval
        for index in servers.indices { servers[index].hasAnswered = false }
        client.ask(servers.map(\.address), now: now)
        return client.nextRequest(now: now)
    }

    /// Returns whether the datagram was an answer.
    mutating func take(_ datagram: UnsafeRawBufferPointer, from source: SocketAddress, now: Instant) -> Bool {
        guard let outcome = client.take(datagram, from: source) else { return false }
        guard let index = servers.firstIndex(where: { $0.address == source }) else { return true }
        if case .mapped(let seen) = outcome {
            // The mapping is another: what the others saw before is of the former one, and they will soon see this.
            if servers[index].seen.map({ $0 != seen }) ?? false {
                for other in servers.indices where !servers[other].hasAnswered { servers[other].seen = nil }
            }
            servers[index].seen = seen
            servers[index].silences = 0
            servers[index].hasAnswered = true
        }
        finishRound(now: now)
        return true
    }

    var deadline: Instant { min(client.deadline ?? .never, nextRound) }

    private mutating func finishRound(now: Instant) {
        guard isUnderWay, !client.isAsking else { return }
        isUnderWay = false
        for index in servers.indices where !servers[index].hasAnswered {
            servers[index].silences += 1
            if servers[index].silences >= Self.mostSilences { servers[index].seen = nil }
        }
        failedRounds = servers.contains(where: \.hasAnswered) ? 0 : failedRounds + 1
        if failedRounds == 1 { nextRound = now + Self.retry }
    }
}
