import Crypto
import EventLoop
import Iroh
import IrohRelayClient
import Platform
import QUIC

/// One attempt to reach a peer: its addresses and relays are tried one after the other, each with a short head start before the next (RFC
/// 8305), and the first that completes the handshake wins. One that is connected through a relay looks for a direct path from there
/// (``PathKeeper``), so a relay is waited for no longer than it takes to spare it those who would not need it.
public final class Dialer: ConnectionHandler {
    /// How long an address may stay silent before the next is tried beside it (RFC 8305, section 5): the least that is recommended, since a
    /// relay that is quicker by chance is left again for a direct path.
    public static let headStart: Duration = .milliseconds(100)
    /// The head start of an address before the first relay: a handshake's round trip to most peers that are near. A silent address costs
    /// nothing more, since to connect to a relay takes as long.
    public static let headStartBeforeRelay: Duration = .milliseconds(50)
    /// Addresses tried at most. A packet has room for some thirty, and each costs packets to somebody.
    public static let mostAddresses = 16
    /// Relays tried at most. An endpoint is at one of them, and each costs a connection.
    public static let mostRelays = 4

    /// A way that did not work.
    public struct Failure: Sendable, CustomStringConvertible {
        public var target: Target
        public var reason: String
        /// From the start of its own attempt.
        public var after: Duration
        /// Whether a relay has turned us away.
        public var isRefusal = false

        public var description: String { "\(target): \(reason)" }
    }

    public enum Outcome {
        /// The caller sets the connection's handler.
        case connected(Connection, failures: [Failure])
        case failed([Failure])
        /// Whoever answered there has another key. No other way is tried.
        case wrongPeer(Target)
    }

    private struct Attempt {
        var connection: Connection
        var target: Target
        var started: Instant

        func failure(_ reason: String) -> Failure { Failure(target: target, reason: reason, after: Instant.now - started) }

        /// Ends it without a word to the dialer.
        func abandon() {
            connection.handler = nil
            connection.close(code: 0, now: .now)
        }
    }

    private let driver: EndpointDriver
    private let peer: PublicKey
    private var targets: ArraySlice<Target>
    /// To the addresses among them.
    private var paths: [SocketAddress: NetworkPath] = [:]
    private var attempts: [Attempt] = []
    private var failures: [Failure] = []
    private var timer: Timer!
    private var limit: Timer!
    private var observer: Int!
    private var completion: ((Outcome) -> Void)?

    /// - Parameters:
    ///   - timeout: For the whole attempt.
    ///   - completion: Called once, never from inside this call. The dialer keeps itself until then.
    public init(_ peer: EndpointAddress, over driver: EndpointDriver, timeout: Duration, completion: @escaping (Outcome) -> Void) {
        self.driver = driver
        self.peer = peer.id
        var reachable = peer
        reachable.addresses = []
        for address in peer.addresses {
            if let path = driver.path(to: address) {
                paths[address] = path
                reachable.addresses.append(address)
            } else {
                failures.append(Failure(target: .address(address), reason: "no \(address.ip.isV6 ? "IPv6" : "IPv4") here", after: .zero))
            }
        }
        targets = Self.order(reachable)[...]
        timer = Timer(on: driver.loop) { self.tryNext() }
        limit = Timer(on: driver.loop) { self.giveUp() }
        self.completion = completion
        observer = driver.relays.observe { [unowned self] in relay($0, $1) }
        // It takes some round trips until a relay can be used.
        if let relay = peer.relayURLs.first { driver.relays.link(to: relay) }
        timer.start(after: .zero)
        limit.start(after: timeout)
    }

    /// An address, then a relay, which works where none does; then the other addresses, and then the other relays.
    public static func order(_ peer: EndpointAddress) -> [Target] {
        let addresses = peer.addresses.withFamiliesInTurn(\.ip).prefix(mostAddresses).map(Target.address)
        let relays = peer.relayURLs.prefix(mostRelays).map(Target.relay)
        let order = [addresses.prefix(1), relays.prefix(1), addresses.dropFirst(), relays.dropFirst()]
        return order.flatMap { $0 }
    }

    /// How long the next target waits for one that has just been tried.
    private func pause(after target: Target) -> Duration {
        if case .relay? = targets.first, case .address = target { return Self.headStartBeforeRelay }
        // The address before it has had its part.
        if case .address? = targets.first, case .relay = target { return Self.headStart - Self.headStartBeforeRelay }
        return Self.headStart
    }

    private func tryNext() {
        guard completion != nil else { return }
        guard let target = targets.popFirst() else {
            if attempts.isEmpty { finish(.failed(failures)) }
            return
        }
        let path: NetworkPath
        switch target {
        case .address(let remote): path = paths[remote]!
        case .relay(let url): path = driver.relays.path(through: url, to: EndpointID(peer))
        }
        let now = Instant.now
        let connection = driver.endpoint.connect(to: peer, on: path, handler: self, now: now)
        attempts.append(Attempt(connection: connection, target: target, started: now))
        timer.start(after: pause(after: target))
    }

    private func giveUp() {
        failures += attempts.map { $0.failure(silence(of: $0.target)) }
        finish(.failed(failures))
    }

    /// Why nothing came from there.
    private func silence(of target: Target) -> String {
        guard case .relay(let url) = target else { return "no answer" }
        if driver.relays.isConnected(url) { return "no answer: the peer is not at this relay" }
        return driver.relays.link(to: url).lastFailure.map { "\($0)" } ?? "no connection to the relay"
    }

    private func finish(_ outcome: Outcome) {
        guard let completion else { return }
        self.completion = nil
        timer = nil
        limit = nil
        driver.relays.stopObserving(observer)
        let losers = attempts
        attempts = []
        for attempt in losers { attempt.abandon() }
        completion(outcome)
    }

    /// A relay that can't be reached, or that turns us away, need not be waited for.
    private func relay(_ url: RelayURL, _ event: RelayTransports.Event) {
        guard case .changed(let state) = event, let index = attempts.firstIndex(where: { $0.target == .relay(url) }) else { return }
        let reason: String
        switch state {
        case .connecting, .connected: return
        case .waiting(let failure): reason = "\(failure)"
        case .refused(let words): reason = words
        }
        let attempt = attempts.remove(at: index)
        attempt.abandon()
        var failure = attempt.failure(reason)
        if case .refused = state { failure.isRefusal = true }
        failures.append(failure)
        tryNext()
    }

    public func connectionEstablished(_ connection: Connection) {
        attempts.removeAll { $0.connection === connection }
        // Whatever had its head start has failed.
        failures += attempts.map { $0.failure(silence(of: $0.target)) }.filter { $0.after >= Self.headStartBeforeRelay }
        finish(.connected(connection, failures: failures))
    }

    public func connectionClosed(_ connection: Connection, reason: CloseReason) {
        guard let index = attempts.firstIndex(where: { $0.connection === connection }) else { return }
        let attempt = attempts.remove(at: index)
        if reason == .wrongPeer { return finish(.wrongPeer(attempt.target)) }
        let words = reason == .handshakeTimeout ? silence(of: attempt.target) : reason.description
        failures.append(attempt.failure(words))
        tryNext()
    }

    public func connection(_ connection: Connection, opened stream: Stream) {}
    public func connectionAllowsStreams(_ connection: Connection) {}
    public func connectionMoved(_ connection: Connection) {}
}
