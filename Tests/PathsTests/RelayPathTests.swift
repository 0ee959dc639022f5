import Crypto
import EventLoop
import Glibc
import Iroh
import IrohRelay
import Platform
import QUIC
import Testing

@testable import Paths

/// Passes datagrams between a client and a server as long as it is open: a direct path that can die and live again.
private final class Gate {
    var isOpen = true
    private var front: UDPSocket!
    private var back: UDPSocket!
    private var client: NetworkPath?

    var address: SocketAddress { front.localAddress }

    init(to server: SocketAddress, on loop: EventLoop) throws {
        let here = SocketAddress("127.0.0.1:0")!
        front = try UDPSocket(on: loop, bind: here, index: 0) { [unowned self] bytes, path, _ in
            client = path
            pass(bytes, NetworkPath(transport: 0, remote: server), by: back)
        }
        back = try UDPSocket(on: loop, bind: here, index: 0) { [unowned self] bytes, _, _ in
            if let client { pass(bytes, client, by: front) }
        }
    }

    private func pass(_ bytes: UnsafeRawBufferPointer, _ path: NetworkPath, by socket: UDPSocket) {
        if isOpen { _ = socket.send(bytes, segmentSize: bytes.count, on: path, ecn: 0) }
    }
}

/// A relay, a server that echoes and a client.
private final class World: ConnectionAcceptor, ConnectionHandler, StreamHandler {
    let loop = EventLoop()
    let relay: RelayServer
    let url: RelayURL
    let gate: Gate
    private let server: EndpointDriver
    let client: EndpointDriver
    let id: PublicKey
    private(set) var outcome: Dialer.Outcome?
    private(set) var moves: [String] = []
    private(set) var echoed: [UInt8] = []
    private(set) var isFinished = false
    private(set) var closeReason: CloseReason?
    private var keeper: PathKeeper?

    init() throws {
        let here = SocketAddress("127.0.0.1:0")!
        let listener = try Sockets.tcpListener(bind: here)
        url = RelayURL("http://\(try Sockets.localAddress(listener.number))/")!
        relay = RelayServer(on: loop, RelayHub())
        try relay.listen(listener, isSecure: false)
        let key = SecretKey.generate()
        id = key.publicKey
        server = EndpointDriver(key: key, configuration: Configuration(alpn: ["test"]), on: loop)
        try server.bind(here)
        client = EndpointDriver(key: .generate(), configuration: Configuration(alpn: ["test"]), on: loop)
        try client.bind(here)
        gate = try Gate(to: server.localAddresses[0], on: loop)
        server.endpoint.acceptor = self
        server.relays.pin(url, for: self)
        loop.run { server.relays.isConnected(url) }
    }

    /// Connects and keeps the connection on a path that works.
    func dial(_ peer: EndpointAddress, timeout: Duration = .seconds(20)) throws -> (connection: Connection, failures: [Dialer.Failure]) {
        _ = Dialer(peer, over: client, timeout: timeout) { [self] in outcome = $0 }
        loop.run { outcome != nil }
        guard case .connected(let connection, let failures) = outcome else {
            throw Unreachable(outcome: "\(String(describing: outcome))")
        }
        connection.handler = self
        keeper = PathKeeper(connection, to: peer, over: client)
        return (connection, failures)
    }

    struct Unreachable: Error { var outcome: String }

    /// Sends bytes to be echoed.
    func send(_ bytes: [UInt8], over connection: Connection) throws {
        (echoed, isFinished) = ([], false)
        let stream = try #require(connection.openStream())
        stream.handler = self
        stream.write(bytes)
        stream.finish()
    }

    func accepted(_ connection: Connection) { connection.handler = self }
    func connectionEstablished(_ connection: Connection) {}
    func connection(_ connection: Connection, opened stream: QUIC.Stream) { stream.handler = self }
    func connectionAllowsStreams(_ connection: Connection) {}

    func connectionMoved(_ connection: Connection) {
        guard !connection.isServer else { return }
        keeper?.connectionMoved()
        moves.append(connection.path.word)
    }

    func connectionIsSilent(_ connection: Connection) { keeper?.connectionIsSilent() }

    func connectionClosed(_ connection: Connection, reason: CloseReason) {
        guard !connection.isServer else { return }
        keeper?.stop()
        closeReason = reason
    }

    /// A word, for to tell how millions of bytes differ takes more memory than there is.
    var isEchoed: Bool { echoed == pattern }

    func streamReadable(_ stream: QUIC.Stream) {
        var bytes: [UInt8] = []
        while stream.readableCount > 0 {
            stream.read { vectors in
                for vector in vectors { bytes += UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len) }
                return vectors.reduce(0) { $0 + $1.iov_len }
            }
        }
        if stream.connection.isServer {
            stream.write(bytes)
            if stream.isReadFinished { stream.finish() }
        } else {
            echoed += bytes
            isFinished = stream.isReadFinished
        }
    }

    func streamWritable(_ stream: QUIC.Stream) {}
    func streamReset(_ stream: QUIC.Stream, code: UInt64) {}
    func streamStopped(_ stream: QUIC.Stream, code: UInt64) {}
    func streamClosed(_ stream: QUIC.Stream) {}
    func streamLost(_ stream: QUIC.Stream, reason: CloseReason) {}
}

extension EventLoop {
    /// Longer than a loaded machine needs; a test that waits this long has failed.
    fileprivate func run(until condition: () -> Bool) {
        var isOver = false
        let watchdog = Timer(on: self) { isOver = true }
        watchdog.start(after: .seconds(60))
        while !condition(), !isOver { runOnce() }
    }
}

private let pattern = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }

@Suite struct RelayPaths {
    @Test("An address is tried, then a relay, then the other addresses, then the other relays")
    func order() {
        let addresses = ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"].map { SocketAddress($0)! }
        let relays = ["https://one.example/", "https://two.example/"].map { RelayURL($0)! }
        let id = SecretKey.generate().publicKey
        func order(_ addresses: [SocketAddress], _ relays: [RelayURL]) -> [String] {
            Dialer.order(EndpointAddress(id: id, relayURLs: relays, addresses: addresses)).map(\.description)
        }
        #expect(order(addresses, relays)
            == ["[2001:db8::1]:1", "https://one.example/", "192.0.2.1:1", "192.0.2.2:1", "https://two.example/"])
        #expect(order([], relays) == ["https://one.example/", "https://two.example/"])
        #expect(order([addresses[0]], relays) == ["192.0.2.1:1", "https://one.example/", "https://two.example/"])
        #expect(order([], []).isEmpty)
    }

    @Test("A peer at a relay is reached through it")
    func relayOnly() throws {
        let world = try World()
        let (connection, failures) = try world.dial(EndpointAddress(id: world.id, relayURLs: [world.url]))
        #expect(connection.path.isRelayed && failures.isEmpty)
        #expect(world.client.target(of: connection.path) == .relay(world.url))
        try world.send(pattern, over: connection)
        world.loop.run { world.isFinished }
        #expect(world.isEchoed)
    }

    @Test("A silent address costs its head start, is named, and is gone over to when it wakes")
    func silentAddress() throws {
        let world = try World()
        world.gate.isOpen = false
        let (connection, failures) = try world.dial(
            EndpointAddress(id: world.id, relayURLs: [world.url], addresses: [world.gate.address]))
        #expect(connection.path.isRelayed)
        #expect(failures.map(\.description) == ["\(world.gate.address): no answer"])
        #expect(try #require(failures.first).after >= Dialer.headStartBeforeRelay)
        world.gate.isOpen = true
        world.loop.run { world.moves.last == "direct" }
        try world.send(pattern, over: connection)
        world.loop.run { world.isFinished }
        #expect(world.isEchoed)
        #expect(world.moves == ["direct"])
    }

    @Test("When the direct path dies, a transfer goes on through the relay, and back when the path lives again")
    func deadPath() throws {
        let world = try World()
        let (connection, failures) = try world.dial(
            EndpointAddress(id: world.id, relayURLs: [world.url], addresses: [world.gate.address]))
        #expect(!connection.path.isRelayed && failures.isEmpty)
        try world.send(pattern, over: connection)
        world.loop.run { world.echoed.count > 100_000 }
        world.gate.isOpen = false
        world.loop.run { world.isFinished }
        #expect(world.isEchoed)
        #expect(world.moves == ["relay"])
        world.gate.isOpen = true
        world.loop.run { world.moves.last == "direct" }
        try world.send(pattern, over: connection)
        world.loop.run { world.isFinished }
        #expect(world.isEchoed)
    }

    @Test("A relay that can't be reached is named with its reason, and a peer that is not at its relay too")
    func failures() throws {
        let world = try World()
        let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        let dead = RelayURL("http://\(try Sockets.localAddress(listener.number))/")!
        close(listener.release())
        let stranger = SecretKey.generate().publicKey
        _ = try? world.dial(EndpointAddress(id: stranger, relayURLs: [dead, world.url]), timeout: .seconds(2))
        guard case .failed(let failures) = world.outcome else {
            Issue.record("\(String(describing: world.outcome))")
            return
        }
        #expect(failures.map(\.target) == [.relay(dead), .relay(world.url)])
        #expect(failures.last?.reason == "no answer: the peer is not at this relay")
        #expect(failures.allSatisfy { !$0.isRefusal })
    }
}
