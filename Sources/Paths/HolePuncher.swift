import EventLoop
import HolePunching
import Platform
import QUIC

/// Finds direct paths for the connections of an endpoint, with datagrams beside those of QUIC on the same sockets and relays
/// (keyhole-paths(7)).
public final class HolePuncher {
    /// What connections have to export.
    static let exporter = (label: SessionKeys.label, length: SessionKeys.exportedLength)

    /// Whether direct paths are wanted; set it before there are connections.
    public var isWanted = true
    private unowned let driver: EndpointDriver
    private let budget = ProbeBudget()
    private var punchings: [UInt64: Punching] = [:]
    private var outgoing: [(datagram: [UInt8], path: NetworkPath)] = []

    init(_ driver: EndpointDriver) {
        self.driver = driver
        _ = driver.candidates.observe { [unowned self] in lookAgain() }
        // A hole is in what was on the way before.
        _ = driver.candidates.observeNetwork { [unowned self] in lookAgain() }
    }

    /// Begins to find paths for a connection whose handshake is complete; until ``Punching/stop()``. Nil if none are wanted.
    public func attach(_ connection: Connection) -> Punching? {
        let role: PunchSession.Role = connection.isServer ? .server : .client
        guard isWanted, let keys = SessionKeys(exported: connection.exported, role: role) else { return nil }
        let session = PunchSession(role, keys: keys, budget: budget, route: driver.path(to:))
        let punching = Punching(session, of: connection, over: driver) { [unowned self] in punchings[keys.tag] = nil }
        punchings[keys.tag] = punching
        return punching
    }

    private func lookAgain() { for punching in punchings.values { punching.lookAgain() } }

    func send(_ datagram: [UInt8], on path: NetworkPath) { outgoing.append((datagram, path)) }

    /// Sends what has come together.
    func flush() {
        for (datagram, path) in outgoing { datagram.withUnsafeBytes { _ = driver.send($0, segmentSize: $0.count, on: path, ecn: 0) } }
        outgoing.removeAll()
    }

    func receive(_ datagram: UnsafeRawBufferPointer, of tag: UInt64, on path: NetworkPath) {
        punchings[tag]?.receive(datagram, on: path)
    }
}

/// Runs the ``PunchSession`` of one connection on the event loop.
public final class Punching {
    /// At a client, what the session finds and ends with; and ``PunchSession/Event/requested`` also when our own addresses have changed.
    var onEvent: (PunchSession.Event) -> Void = { _ in }
    private var session: PunchSession
    private let connection: Connection
    private let driver: EndpointDriver
    private let onStop: () -> Void
    private var timer: Timer?

    init(_ session: PunchSession, of connection: Connection, over driver: EndpointDriver, onStop: @escaping () -> Void) {
        self.session = session
        self.connection = connection
        self.driver = driver
        self.onStop = onStop
        self.session.candidates = driver.candidates.all
    }

    /// Call it when the connection has ended.
    public func stop() {
        timer = nil
        onEvent = { _ in }
        onStop()
    }

    /// At a server: from now on the peer may know our addresses.
    public func admit() {
        guard !session.isAdmitted else { return }
        session.isAdmitted = true
        update()
    }

    /// Whether the peer has been heard to speak of paths.
    var isSpoken: Bool { session.isSpoken }

    /// When a round may begin.
    var nextTurn: Instant { session.nextTurn }

    /// At a client: begins a round. False if it is too early for another.
    func begin(knowing addresses: [SocketAddress], over path: NetworkPath, roundTrip: Duration?) -> Bool {
        let begins = session.begin(knowing: addresses, over: path, roundTrip: roundTrip, now: .now)
        update()
        return begins
    }

    /// At a client: finds out whether the peer can be heard along paths, with one probe along each.
    func ask(along paths: [NetworkPath]) {
        session.ask(along: paths, now: .now)
        update()
    }

    func receive(_ datagram: UnsafeRawBufferPointer, on path: NetworkPath) {
        session.receive(datagram, on: path, isProved: path.isRelayed || path == connection.path, now: .now)
        update()
    }

    /// Our addresses, or the networks they are in, have changed.
    func lookAgain() {
        session.candidates = driver.candidates.all
        switch session.role {
        case .client: onEvent(.requested)
        case .server:
            session.request(over: connection.path)
            update()
        }
    }

    private func update() {
        for event in session.takeEvents(now: .now) {
            if case .send(let datagram, let path) = event { driver.puncher.send(datagram, on: path) } else { onEvent(event) }
        }
        guard let deadline = session.deadline else {
            timer?.stop()
            return
        }
        if timer == nil {
            timer = Timer(on: driver.loop) { [unowned self] in
                session.handleDeadline(now: .now)
                update()
            }
        }
        timer?.start(after: max(.zero, deadline - .now))
    }
}
