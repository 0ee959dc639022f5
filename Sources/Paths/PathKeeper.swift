import EventLoop
import Iroh
import Platform
import QUIC

/// Keeps a connection that we have dialled on a path that works: when its path falls silent it goes on along another, and from a relay it
/// goes over to a direct path as soon as there is one (RFC 9000, section 9; spec/path-migration.md).
public final class PathKeeper {
    /// A connection that no path has been found for is given up: a restarted relay or router is back by then, and whoever waits for an
    /// answer wants to know. Only time in which we run counts: who was suspended has not looked for a path.
    private static let patience: Duration = .seconds(15)
    /// A peer that has left the relay has this long to come back, as it does when it was restarted or its network has changed.
    private static let absence: Duration = .seconds(5)
    /// Between attempts to go over to a direct path, doubling. An attempt is a few datagrams to an address that the peer has published.
    private static let firstAttempt: Duration = .seconds(1), rarestAttempt: Duration = .seconds(60)

    /// Where the peer is; may change.
    public var peer: EndpointAddress
    private let connection: Connection
    private let driver: EndpointDriver
    private var observer: Int?
    private var attempts: Timer!
    private var attemptPause = PathKeeper.firstAttempt
    /// The direct address to be tried next.
    private var nextAddress = 0
    private var absenceTimer: Timer?
    /// Since when nothing has come.
    private var lostSince: Instant?
    /// ``EndpointDriver/awakenings`` then.
    private var lostAt = 0
    /// The paths that were tried since.
    private var tried: Set<NetworkPath> = []

    public init(_ connection: Connection, to peer: EndpointAddress, over driver: EndpointDriver) {
        self.connection = connection
        self.peer = peer
        self.driver = driver
        attempts = Timer(on: driver.loop) { [unowned self] in tryDirect() }
        observer = driver.relays.observe { [unowned self] in relay($0, $1) }
        scheduleAttempt()
    }

    /// Call it when the connection has ended.
    public func stop() {
        attempts.stop()
        absenceTimer = nil
        if let observer { driver.relays.stopObserving(observer) }
        observer = nil
    }

    /// Call it for ``ConnectionHandler/connectionIsSilent(_:)``.
    public func connectionIsSilent() {
        let now = Instant.now
        if !isLost || lostAt != driver.awakenings { (lostSince, lostAt, tried) = (now, driver.awakenings, [connection.path]) }
        guard let lostSince, now - lostSince < Self.patience else { return connection.abandon(now: now) }
        // Whatever comes of it, a relay will be wanted.
        driver.relays.check()
        for url in peer.relayURLs.prefix(Dialer.mostRelays) { driver.relays.link(to: url) }
        if let path = (relayPaths + directPaths).first(where: { !tried.contains($0) }) { move(to: path, now: now) }
    }

    /// Call it for ``ConnectionHandler/connectionMoved(_:)``.
    public func connectionMoved() {
        attemptPause = Self.firstAttempt
        scheduleAttempt()
    }

    /// Whether nothing has come since the path fell silent.
    private var isLost: Bool { lostSince.map { connection.lastHeard < $0 } ?? false }

    private var directPaths: [NetworkPath] { peer.addresses.prefix(Dialer.mostAddresses).compactMap(driver.path(to:)) }

    /// The paths through relays that we are connected to.
    private var relayPaths: [NetworkPath] {
        peer.relayURLs.prefix(Dialer.mostRelays).filter(driver.relays.isConnected).map { driver.relays.path(through: $0, to: EndpointID(peer.id)) }
    }

    private func move(to path: NetworkPath, now: Instant) {
        // Without a spare id of the peer there is another silence to try again at.
        if connection.migrate(to: path, validatingFirst: false, now: now) { tried.insert(path) }
    }

    private func relay(_ url: RelayURL, _ event: RelayTransports.Event) {
        switch event {
        case .changed(.connected):
            // The datagrams of an interruption are lost, and the next probe might be seconds away: a move, be it to the same path, sends at once.
            guard isLost || connection.path.isRelayed && connection.silentSince != nil else { return }
            if peer.relayURLs.contains(url) { move(to: driver.relays.path(through: url, to: EndpointID(peer.id)), now: .now) }
        case .gone(let id):
            guard id == EndpointID(peer.id), connection.path.isRelayed, driver.target(of: connection.path) == .relay(url) else { return }
            awaitReturn(since: .now)
        case .changed, .superseded: break
        }
    }

    private func awaitReturn(since: Instant) {
        let awakenings = driver.awakenings
        absenceTimer = Timer(on: driver.loop) { [unowned self] in
            guard connection.lastHeard < since else { return }
            // What has come while we were suspended has yet to be read.
            if awakenings == driver.awakenings { connection.abandon(now: .now) } else { awaitReturn(since: since) }
        }
        absenceTimer?.start(after: Self.absence)
    }

    // From a relay to a direct path

    private func scheduleAttempt() {
        guard connection.path.isRelayed, !peer.addresses.isEmpty else { return attempts.stop() }
        attempts.start(after: attemptPause)
    }

    private func tryDirect() {
        let paths = directPaths
        if !isLost, !paths.isEmpty {
            _ = connection.migrate(to: paths[nextAddress % paths.count], validatingFirst: true, now: .now)
            nextAddress += 1
            // All addresses are tried before the pause grows.
            if nextAddress % paths.count == 0 { attemptPause = min(attemptPause * 2, Self.rarestAttempt) }
        }
        scheduleAttempt()
    }
}
