import EventLoop
import HolePunching
import Iroh
import Platform
import QUIC

/// Keeps a connection that we have dialled on a path that works, and on a direct one where there is one: when its path falls silent it goes
/// on along another (RFC 9000, section 9; spec/path-migration.md); while it goes through a relay, holes are punched with a peer that
/// does so (``Punching``), and the addresses of one that does not are tried.
public final class PathKeeper {
    /// A connection that no path has been found for is given up: a restarted relay or router is back by then, and whoever waits for an
    /// answer wants to know. Only time in which we run counts: who was suspended has not looked for a path.
    private static let patience: Duration = .seconds(15)
    /// Between attempts to go over to an address of a peer that does not punch, doubling. An attempt is a few datagrams to an address that
    /// the peer has published.
    private static let firstAttempt: Duration = .seconds(1), rarestAttempt: Duration = .seconds(60)
    /// Between rounds of punching that have found nothing, doubling: NATs that can't be crossed stay so until somebody changes networks,
    /// which begins a round by itself.
    private static let firstRoundPause: Duration = .seconds(5), rarestRound: Duration = .seconds(300)
    /// A spare id of the peer comes a round trip after it was asked for, and a validation ends.
    private static let migrationPause: Duration = .milliseconds(100)
    /// A direct path replaces another one only if it is clearly better: by a quarter of the round trip, and by what no jitter makes up.
    private static let leastGain: Duration = .milliseconds(2)

    /// While nothing is heard, each path is asked this often whether the peer is there: QUIC's own probes come ever more rarely, and a
    /// network that is back after ten seconds would be noticed after another ten.
    private static let searchPause: Duration = .milliseconds(500)
    /// Paths that are asked so.
    private static let mostSearched = 8

    /// Where the peer is; may change.
    public var peer: EndpointAddress
    private let connection: Connection
    private let driver: EndpointDriver
    private let punching: Punching?
    private var observer: Int?
    /// For a peer that does not punch.
    private var attempts: Timer!
    private var attemptPause = PathKeeper.firstAttempt
    /// The direct address to be tried next.
    private var nextAddress = 0
    private var rounds: Timer!
    private var roundPause = PathKeeper.firstRoundPause
    /// Direct paths that punching has found, the fastest first.
    private var found: [PunchSession.FoundPath] = []
    private var migration: Timer!
    /// Direct paths that have died under the connection: probes may get through where whole packets don't.
    private var doubtful: Set<NetworkPath> = []
    /// The path that is being validated.
    private var validating: NetworkPath?
    /// The relay by which the peer can be told things, and the connection come back: its connection is kept.
    private var relay: RelayURL?
    private var search: Timer!
    /// When the connection was taken to a path on which the peer was heard.
    private var revived = Instant(nanoseconds: 0)
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
        punching = driver.puncher.attach(connection)
        attempts = Timer(on: driver.loop) { [unowned self] in tryDirect() }
        rounds = Timer(on: driver.loop) { [unowned self] in beginRound() }
        migration = Timer(on: driver.loop) { [unowned self] in goDirect() }
        search = Timer(on: driver.loop) { [unowned self] in ask() }
        observer = driver.relays.observe { [unowned self] in relay($0, $1) }
        punching?.onEvent = { [unowned self] in punched($0) }
        keepRelay()
        if connection.path.isRelayed { beginRound() }
        scheduleAttempt()
    }

    /// Call it when the connection has ended.
    public func stop() {
        attempts.stop()
        rounds.stop()
        migration.stop()
        search.stop()
        punching?.stop()
        absenceTimer = nil
        if let observer { driver.relays.stopObserving(observer) }
        observer = nil
        if let relay { driver.relays.unpin(relay, for: self) }
        relay = nil
    }

    /// Call it for ``ConnectionHandler/connectionIsSilent(_:)``.
    public func connectionIsSilent() {
        let now = Instant.now
        if !isLost || lostAt != driver.awakenings { (lostSince, lostAt, tried) = (now, driver.awakenings, [connection.path]) }
        guard let lostSince, now - lostSince < Self.patience else { return connection.abandon(now: now) }
        found.removeAll { $0.path == connection.path }
        if !connection.path.isRelayed { doubtful.insert(connection.path) }
        // Whatever comes of it, a relay will be wanted.
        driver.relays.check()
        for url in peer.relayURLs.prefix(Dialer.mostRelays) { driver.relays.link(to: url) }
        search.start(after: Self.searchPause, every: Self.searchPause)
        if let path = (relayPaths + found.map(\.path) + directPaths).first(where: { !tried.contains($0) }) { tryPath(path, now: now) }
    }

    /// Call it for ``ConnectionHandler/connectionMoved(_:)``.
    public func connectionMoved() {
        validating = nil
        keepRelay()
        attemptPause = Self.firstAttempt
        scheduleAttempt()
        guard connection.path.isRelayed else { return }
        roundPause = Self.firstRoundPause
        goDirect()
        beginRound()
    }

    /// Call it for ``ConnectionHandler/connection(_:validated:success:)``.
    public func validated(_ path: NetworkPath, success: Bool) {
        if validating == path { validating = nil }
        if success { doubtful.remove(path) }
        if !success { found.removeAll { $0.path == path } }
        goDirect()
    }

    /// Whether nothing has come since the path fell silent.
    private var isLost: Bool { lostSince.map { connection.lastHeard < $0 } ?? false }

    private var directPaths: [NetworkPath] { peer.addresses.prefix(Dialer.mostAddresses).compactMap(driver.path(to:)) }

    /// The paths through relays that we are connected to.
    private var relayPaths: [NetworkPath] {
        peer.relayURLs.prefix(Dialer.mostRelays).filter(driver.relays.isConnected).map { driver.relays.path(through: $0, to: EndpointID(peer.id)) }
    }

    /// Goes on along a path at once. False without a spare id of the peer: there is another silence, or another reply, to try again at.
    private func move(to path: NetworkPath, now: Instant) -> Bool {
        guard connection.migrate(to: path, validatingFirst: false, now: now) else { return false }
        validating = nil
        return true
    }

    /// The same after a silence, in which no path is tried twice.
    private func tryPath(_ path: NetworkPath, now: Instant) {
        if move(to: path, now: now) { tried.insert(path) }
    }

    /// Asks whether the peer is to be heard anywhere, as long as it is not.
    private func ask() {
        guard isLost else { return search.stop() }
        var paths: [NetworkPath] = []
        for path in [connection.path] + relayPaths + found.map(\.path) + directPaths where !paths.contains(path) { paths.append(path) }
        punching?.ask(along: Array(paths.prefix(Self.mostSearched)))
    }

    /// The peer was heard along a path while the connection hears nothing.
    private func revive(on path: NetworkPath) {
        let now = Instant.now
        // Whatever else is heard now is no better, but for a direct path.
        guard now - revived > Self.searchPause || connection.path.isRelayed && !path.isRelayed else { return }
        if move(to: path, now: now) { revived = now }
    }

    private func keepRelay() {
        guard case .relay(let url) = driver.target(of: connection.path), url != relay else { return }
        if let relay { driver.relays.unpin(relay, for: self) }
        driver.relays.pin(url, for: self)
        relay = url
    }

    private func relay(_ url: RelayURL, _ event: RelayTransports.Event) {
        switch event {
        case .changed(.connected):
            // The datagrams of an interruption are lost, and the next probe might be seconds away: a move, be it to the same path, sends at once.
            guard isLost || connection.path.isRelayed && connection.silentSince != nil else { return }
            if peer.relayURLs.contains(url) { tryPath(driver.relays.path(through: url, to: EndpointID(peer.id)), now: .now) }
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
        // As long as a silent one has: a relay gives up whoever has been cut off from it for a few seconds.
        absenceTimer?.start(after: Self.patience)
    }

    // From a relay to a direct path, with a peer that punches

    private func beginRound() {
        guard let punching else { return }
        // A direct path that is still in use may be dead already, so the relay is the surer way to call.
        let path = relayPaths.first ?? connection.path
        let roundTrip = path == connection.path ? connection.roundTrip : nil
        guard !punching.begin(knowing: peer.addresses, over: path, roundTrip: roundTrip) else { return rounds.stop() }
        rounds.start(after: max(.zero, punching.nextTurn - .now))
    }

    private func punched(_ event: PunchSession.Event) {
        switch event {
        case .send: break
        case .requested:
            roundPause = Self.firstRoundPause
            beginRound()
        case .found(let path):
            if isLost { revive(on: path.path) }
            guard !path.path.isRelayed else { return }
            found.removeAll { $0.path == path.path }
            found.append(path)
            found.sort { $0.roundTrip < $1.roundTrip }
            goDirect()
        case .ended(let ending):
            if ending != .probed(foundAny: true) { found = [] }
            guard connection.path.isRelayed, punching?.isSpoken == true else { return }
            rounds.start(after: roundPause)
            roundPause = min(roundPause * 2, Self.rarestRound)
        }
    }

    /// Goes over to the fastest path that was found, unless the one in use is about as good.
    private func goDirect() {
        guard validating == nil, let best = found.first, best.path != connection.path else { return migration.stop() }
        if !connection.path.isRelayed {
            guard let current = connection.roundTrip, current - best.roundTrip > max(current / 4, Self.leastGain) else { return migration.stop() }
        }
        // A probe and its reply have just gone along it both ways. To validate it first would take another round trip.
        let isDoubtful = !isLost && doubtful.contains(best.path)
        guard connection.migrate(to: best.path, validatingFirst: isDoubtful, now: .now) else { return migration.start(after: Self.migrationPause) }
        validating = isDoubtful ? best.path : nil
        migration.stop()
    }

    // The same with a peer that does not

    private func scheduleAttempt() {
        guard connection.path.isRelayed, !peer.addresses.isEmpty, punching?.isSpoken != true else { return attempts.stop() }
        attempts.start(after: attemptPause)
    }

    private func tryDirect() {
        let paths = directPaths
        if !isLost, !paths.isEmpty, punching?.isSpoken != true {
            _ = connection.migrate(to: paths[nextAddress % paths.count], validatingFirst: true, now: .now)
            nextAddress += 1
            // All addresses are tried before the pause grows.
            if nextAddress % paths.count == 0 { attemptPause = min(attemptPause * 2, Self.rarestAttempt) }
        }
        scheduleAttempt()
    }
}
