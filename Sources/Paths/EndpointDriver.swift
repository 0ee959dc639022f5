import Crypto
import EventLoop
import Glibc
import HolePunching
import Platform
import QUIC

/// Runs a QUIC endpoint on UDP sockets, relays and the event loop.
public final class EndpointDriver: DatagramSink {
    public let endpoint: Endpoint
    /// The relays that datagrams go through.
    public private(set) var relays: RelayTransports!
    /// Where the sockets may be reached.
    public let candidates: LocalCandidates
    /// What finds direct paths for its connections.
    public private(set) var puncher: HolePuncher!
    /// What everything here runs on.
    public let loop: EventLoop
    /// What has come and gone so far.
    public private(set) var traffic = Traffic()
    private var reflexive: ReflexiveAddresses!
    private var sockets: [UDPSocket] = []
    private var timer: Timer!
    private var beforeWaiting: BeforeWaiting!
    private var afterHandshake: [() -> Void] = []
    private var armed: Instant?
    /// Whether a deadline was missed, and what has come meanwhile is yet to be read.
    private var isBehind = false
    /// How often this process was not let run for so long that silence meanwhile says nothing about anybody: suspended, or stopped.
    private(set) var awakenings = 0

    /// The timer of a loop that runs is late by much less.
    private static let leastSleep: Duration = .seconds(1)
    /// A deadline that was missed by more than this may be older than what waits in the sockets. Less makes no difference to a silence.
    private static let mostLateness: Duration = .milliseconds(50)
    /// A timer without delay may fire before the sockets are looked at.
    private static let turn: Duration = .milliseconds(1)

    public init(key: SecretKey, configuration: Configuration, relayTokens: RelayTokens = RelayTokens(), on loop: EventLoop) {
        var configuration = configuration
        configuration.exporter = HolePuncher.exporter
        endpoint = Endpoint(key: key, configuration: configuration)
        self.loop = loop
        candidates = LocalCandidates(on: loop)
        relays = RelayTransports(key: key, tokens: relayTokens, on: loop) { [unowned self] in receive($0, on: $1, ecn: $2) }
        puncher = HolePuncher(self)
        timer = Timer(on: loop) { [unowned self] in
            let now = Instant.now
            noteSleep(now: now)
            armed = nil
            if isBehind { endpoint.handleDeadline(now: now) } else { handleDeadline(now: now) }
            isBehind = false
        }
        beforeWaiting = BeforeWaiting(on: loop) { [unowned self] in flush() }
        // A connection to a relay over a network that is gone would be found dead only by silence.
        _ = candidates.observeNetwork { [unowned self] in
            relays.check()
            reflexive.networkChanged()
        }
        reflexive = ReflexiveAddresses(on: loop) { [unowned self] datagram, path in
            // What a full socket does not take is lost, as a datagram may be, and sent again.
            _ = datagram.withUnsafeBytes { sockets[path.transport].send($0, segmentSize: $0.count, on: path, ecn: 0) }
        } onChange: { [unowned self] in candidates.setReflexive(reflexive.views) }
    }

    /// Binds one more socket; connections may use it from then on.
    ///
    /// - Returns: Its number for ``NetworkPath/transport``.
    @discardableResult
    public func bind(_ address: SocketAddress) throws(SystemError) -> Int { try listen(at: .address(address)) }

    /// Takes datagrams at an address, or from a socket that the service manager has bound.
    @discardableResult
    public func listen(at place: ListeningPlace) throws(SystemError) -> Int {
        let socket = try UDPSocket(
            on: loop, at: place, index: sockets.count,
            receiver: { [unowned self] in receive($0, on: $1, ecn: $2) })
        sockets.append(socket)
        candidates.add(socket: socket.localAddress)
        reflexive.add(socket: sockets.count - 1, at: socket.localAddress)
        return sockets.count - 1
    }

    /// Asks STUN servers from now on at which addresses they see our sockets; see ``LocalCandidates/all`` for what comes of it. Those that
    /// stand first are asked first.
    public func ask(_ servers: [HostAndPort]) { reflexive.servers = servers }

    /// Binds a free port on all addresses of both families, the same for both if it can be had. A system without one of the families is
    /// served over the other.
    public func bindAnywhere() throws(SystemError) {
        do throws(SystemError) { try bind(SocketAddress("0.0.0.0:0")!) } catch {
            try bind(SocketAddress("[::]:0")!)
            return
        }
        let port = localAddresses.last?.port ?? 0
        if (try? bind(SocketAddress(ip: IPAddress("::")!, port: port))) == nil { _ = try? bind(SocketAddress("[::]:0")!) }
    }

    private func receive(_ datagram: UnsafeRawBufferPointer, on path: NetworkPath, ecn: UInt8) {
        traffic.received[path.isRelayed] += UInt64(datagram.count)
        if let tag = ControlDatagram.sessionTag(of: datagram) { return puncher.receive(datagram, of: tag, on: path) }
        if !reflexive.take(datagram, on: path) { endpoint.receive(datagram, on: path, ecn: ecn, now: .now) }
    }

    /// The addresses of the sockets, in the order they were bound.
    public var localAddresses: [SocketAddress] { sockets.map(\.localAddress) }

    /// The path to an address over the first socket of its family; nil if there is none, or if the kernel has no route to the address now.
    public func path(to remote: SocketAddress) -> NetworkPath? {
        guard let socket = sockets.firstIndex(where: { $0.localAddress.ip.isV6 == remote.ip.isV6 }), Sockets.hasRoute(to: remote) else { return nil }
        return NetworkPath(transport: socket, remote: remote)
    }

    /// What a path leads to: an address, or a relay.
    public func target(of path: NetworkPath) -> Target {
        path.address.map(Target.address) ?? .relay(relays.url(of: path))
    }

    public func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool {
        traffic.sent[path.isRelayed] += UInt64(bytes.count)
        guard path.isRelayed else { return sockets[path.transport].send(bytes, segmentSize: segmentSize, on: path, ecn: ecn) }
        // A relay that takes no more loses datagrams, as a router does, and holds nobody up.
        relays.send(bytes, segmentSize: segmentSize, on: path, ecn: ecn)
        return true
    }

    /// Writes what is due and sets the timer for what will be. Runs by itself before the loop waits; call it to get the last packets out
    /// before the process ends.
    public func flush() {
        let now = Instant.now
        noteSleep(now: now)
        // Deadlines that have passed while packets were read need not wait for the timer.
        handleDeadline(now: now)
        // What is said about paths is little, and does not wait behind a window of data.
        puncher.flush()
        _ = endpoint.flush(to: self, now: now)
        puncher.flush()
        while !afterHandshake.isEmpty {
            let due = afterHandshake
            afterHandshake = []
            for action in due { action() }
            _ = endpoint.flush(to: self, now: now)
        }
        relays.flush()
        if isBehind { return }
        guard let deadline = endpoint.deadline else {
            if armed != nil { timer.stop() }
            armed = nil
            return
        }
        // A timer that fires early costs one look; setting it anew for every packet costs more.
        if let armed, armed <= deadline, armed > now { return }
        armed = deadline
        timer.start(after: max(.zero, deadline - now))
    }

    /// Does what is due, unless it is long overdue: whoever was not let run first reads what has come meanwhile, in a turn of the loop, or would
    /// take others for silent.
    private func handleDeadline(now: Instant) {
        guard let deadline = endpoint.deadline, deadline <= now, !isBehind else { return }
        if now - deadline < Self.mostLateness { return endpoint.handleDeadline(now: now) }
        isBehind = true
        timer.start(after: Self.turn)
    }

    private func noteSleep(now: Instant) {
        guard let armed, now - armed > Self.leastSleep else { return }
        self.armed = now
        awakenings += 1
    }

    /// Has something done once the end of a handshake that has just been completed has been sent, and the call for a direct path after it: a
    /// call that overtook it would reach a peer that can't read it.
    public func afterHandshake(_ action: @escaping () -> Void) { afterHandshake.append(action) }

    /// Sends what is left and leaves the relays.
    public func close() {
        flush()
        relays.close()
    }
}
