import Crypto
import EventLoop
import Platform
import QUIC

/// One attempt to reach a peer: its addresses are tried one after the other, each with a short head start before the next (RFC 8305), and the
/// first that completes the handshake wins.
public final class Dialer: ConnectionHandler {
    /// How long an address may stay silent before the next is tried beside it (RFC 8305, section 5).
    public static let headStart: Duration = .milliseconds(250)
    /// Addresses tried at most. A packet has room for some thirty, and each costs packets to somebody.
    public static let mostAddresses = 16

    /// An address that did not work.
    public struct Failure: Sendable, CustomStringConvertible {
        public var remote: SocketAddress
        public var reason: String
        /// From the start of its own attempt.
        public var after: Duration

        public var description: String { "\(remote): \(reason)" }
    }

    public enum Outcome {
        /// The caller sets the connection's handler.
        case connected(Connection, failures: [Failure])
        case failed([Failure])
        /// Whoever answered there has another key. No other address is tried.
        case wrongPeer(SocketAddress)
    }

    private struct Attempt {
        var connection: Connection
        var remote: SocketAddress
        var started: Instant
    }

    private let driver: EndpointDriver
    private let peer: PublicKey
    private var addresses: ArraySlice<SocketAddress>
    private var attempts: [Attempt] = []
    private var failures: [Failure] = []
    private var timer: Timer!
    private var limit: Timer!
    private var completion: ((Outcome) -> Void)?

    /// - Parameters:
    ///   - timeout: For the whole attempt.
    ///   - completion: Called once, never from inside this call. The dialer keeps itself until then.
    public init(
        _ peer: PublicKey, at addresses: [SocketAddress], over driver: EndpointDriver, on loop: EventLoop, timeout: Duration,
        completion: @escaping (Outcome) -> Void
    ) {
        self.driver = driver
        self.peer = peer
        self.addresses = Self.interleaved(addresses).prefix(Self.mostAddresses)
        timer = Timer(on: loop) { self.tryNext() }
        limit = Timer(on: loop) { self.giveUp(timeout) }
        self.completion = completion
        timer.start(after: .zero)
        limit.start(after: timeout)
    }

    /// Families take turns, in the order given, IPv6 first (RFC 8305, section 4).
    static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        let six = addresses.filter(\.ip.isV6), four = addresses.filter { !$0.ip.isV6 }
        return (0..<max(six.count, four.count)).flatMap { index in
            [six, four].compactMap { $0.indices.contains(index) ? $0[index] : nil }
        }
    }

    private func tryNext() {
        guard completion != nil else { return }
        guard let remote = addresses.popFirst() else {
            if attempts.isEmpty { finish(.failed(failures)) }
            return
        }
        guard let path = driver.path(to: remote) else {
            failures.append(Failure(remote: remote, reason: "no \(remote.ip.isV6 ? "IPv6" : "IPv4") here", after: .zero))
            return tryNext()
        }
        let now = Instant.now
        let connection = driver.endpoint.connect(to: peer, on: path, handler: self, now: now)
        attempts.append(Attempt(connection: connection, remote: remote, started: now))
        timer.start(after: Self.headStart)
    }

    private func giveUp(_ timeout: Duration) {
        let now = Instant.now
        let late = attempts
        attempts = []
        for attempt in late {
            failures.append(Failure(remote: attempt.remote, reason: "no answer", after: now - attempt.started))
            attempt.connection.close(code: 0, now: now)
        }
        finish(.failed(failures))
    }

    private func finish(_ outcome: Outcome) {
        guard let completion else { return }
        self.completion = nil
        timer = nil
        limit = nil
        let losers = attempts
        attempts = []
        for attempt in losers {
            attempt.connection.handler = nil
            attempt.connection.close(code: 0, now: .now)
        }
        completion(outcome)
    }

    public func connectionEstablished(_ connection: Connection) {
        attempts.removeAll { $0.connection === connection }
        finish(.connected(connection, failures: failures))
    }

    public func connectionClosed(_ connection: Connection, reason: CloseReason) {
        guard let index = attempts.firstIndex(where: { $0.connection === connection }) else { return }
        let attempt = attempts.remove(at: index)
        if reason == .wrongPeer { return finish(.wrongPeer(attempt.remote)) }
        failures.append(Failure(remote: attempt.remote, reason: reason.description, after: Instant.now - attempt.started))
        tryNext()
    }

    public func connection(_ connection: Connection, opened stream: Stream) {}
    public func connectionAllowsStreams(_ connection: Connection) {}
    public func connectionMoved(_ connection: Connection) {}
}
