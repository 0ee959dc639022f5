import Crypto
import EventLoop
import Glibc
import Pkarr
import Platform

/// Serves the zones of keys over UDP and TCP: the sockets of a ``NameServer``.
public final class DNSServer {
    /// Where packets come from.
    public struct PacketSource {
        /// What is known of a key without asking anybody.
        public var cached: (PublicKey) -> SeenPacket?
        /// Looks on the network for a packet that is not older than the given one. Calls back once, also at once.
        public var lookUp: (PublicKey, SignedPacket?, @escaping (PacketFinding) -> Void) -> Void

        public init(
            cached: @escaping (PublicKey) -> SeenPacket?, lookUp: @escaping (PublicKey, SignedPacket?, @escaping (PacketFinding) -> Void) -> Void
        ) {
            self.cached = cached
            self.lookUp = lookUp
        }
    }

    /// Where questions come in.
    public enum Place: Equatable, Sendable {
        /// An address and port for both; with port 0, UDP and TCP get the same one.
        case address(SocketAddress)
        /// Sockets that a service manager has bound to one address, for the server to close.
        case sockets(udp: Int32, tcp: Int32)
    }

    /// Connections at once.
    static let mostConnections = 256
    /// Of one address.
    static let mostConnectionsPerAddress = 32
    /// Rounds of receiving before other things get their turn.
    private static let roundsPerTurn = 4
    /// The kernel's choice of a port for UDP may be taken for TCP.
    private static let mostPortsTried = 16
    /// Bytes that the kernel holds while we are busy: a few thousand queries.
    private static let receiveBuffer: Int32 = 1 << 20

    /// Where it listens, each address for UDP and for TCP.
    public private(set) var addresses: [SocketAddress] = []
    /// Connections that are open.
    public var connections: Int { clients.count }
    public var counters: NameServer.Counters { server.counters }

    private let loop: EventLoop
    private var server: NameServer
    private let source: PacketSource
    private let forwarder: Forwarder
    private var listeners: [(datagrams: AddressedDatagrams, watcher: Watcher)] = []
    private var sockets: [Int32] = []
    private var acceptors: [Acceptor] = []
    private var clients: [Int: StreamClient] = [:]
    private var nextClient = 0
    private var timer: Timer!
    private var isClosed = false

    /// - Parameters:
    ///   - forwardingTo: Servers that are asked what is no key's, in this order.
    ///   - onError: Told once when connections can't be accepted.
    /// - Throws: ``BindError`` for a place where it can't listen.
    public init(
        on loop: EventLoop, at places: [Place], _ configuration: NameServer.Configuration, forwardingTo servers: [SocketAddress],
        source: PacketSource, onError: @escaping (SystemError) -> Void
    ) throws(BindError) {
        self.loop = loop
        self.source = source
        var configuration = configuration
        if servers.isEmpty { configuration.forwardsFor = [] }
        server = NameServer(configuration, cached: source.cached)
        forwarder = Forwarder(on: loop, servers)
        timer = Timer(on: loop) { [unowned self] in
            server.advance(to: .now)
            carryOut()
        }
        for place in places {
            do throws(SystemError) { try listen(place, onError) } catch {
                close()
                throw BindError(place: place, error: error)
            }
        }
    }

    /// A place where it can't listen, and why.
    public struct BindError: Error {
        public var place: Place
        public var error: SystemError
    }

    deinit { close() }

    /// Closes all sockets. Queries that wait get no answer, as if it had been lost.
    public func close() {
        isClosed = true
        timer?.stop()
        forwarder.close()
        for listener in listeners { listener.watcher.cancel() }
        for socket in sockets { Glibc.close(socket) }
        for client in clients.values { client.close() }
        listeners = []
        sockets = []
        acceptors = []
        clients = [:]
    }

    private func listen(_ place: Place, _ onError: @escaping (SystemError) -> Void) throws(SystemError) {
        switch place {
        case .address(let address): try listen(address, tries: address.port == 0 ? Self.mostPortsTried : 1, onError)
        case .sockets(let udp, let tcp):
            try listen(try ListeningPlace.socket(udp).udp(receiveBuffer: Self.receiveBuffer), FileDescriptor(owning: tcp), onError)
        }
    }

    private func listen(_ address: SocketAddress, tries: Int, _ onError: @escaping (SystemError) -> Void) throws(SystemError) {
        do throws(SystemError) {
            let socket = try Sockets.udp(bind: address, receiveBuffer: Self.receiveBuffer)
            let stream = try Sockets.tcpListener(bind: try Sockets.localAddress(socket.number))
            try listen(socket, stream, onError)
        } catch where error.code == EADDRINUSE && tries > 1 { try listen(address, tries: tries - 1, onError) }
    }

    private func listen(
        _ socket: consuming FileDescriptor, _ stream: consuming FileDescriptor, _ onError: @escaping (SystemError) -> Void
    ) throws(SystemError) {
        let bound = try Sockets.localAddress(socket.number)
        let datagrams = try AddressedDatagrams(socket.number, capacity: StreamClient.longestQuery)
        let index = listeners.count
        let watcher = try Watcher(on: loop, socket.number) { [unowned self] _ in receive(index) }
        sockets.append(socket.release())
        watcher.wait(for: .readable)
        listeners.append((datagrams, watcher))
        acceptors.append(try Acceptor(on: loop, stream, onError: onError) { [unowned self] (connection: consuming FileDescriptor) in
            accept(connection)
        })
        addresses.append(bound)
    }

    private func receive(_ index: Int) {
        for _ in 0..<Self.roundsPerTurn {
            let datagrams = listeners[index].datagrams.receive()
            guard !datagrams.isEmpty else { return }
            let now = Moment.now
            for datagram in datagrams {
                let origin = NameServer.Origin(transport: .udp, address: datagram.source, channel: index, local: datagram.destination)
                _ = server.receive(datagram.bytes, from: origin, at: now)
            }
            carryOut()
        }
    }

    private func accept(_ connection: consuming FileDescriptor) {
        guard clients.count < Self.mostConnections, let address = try? Sockets.remoteAddress(connection.number),
            clients.values.count(where: { $0.address.ip == address.ip }) < Self.mostConnectionsPerAddress
        else { return }
        nextClient += 1
        let channel = nextClient
        let origin = NameServer.Origin(transport: .tcp, address: address, channel: channel)
        clients[channel] = try? StreamClient(on: loop, connection, address: address) { [unowned self] query in
            if !server.receive(query, from: origin, at: .now) { clients[channel]?.answer(nil) }
            carryOut()
        } onClose: { [unowned self] in clients[channel] = nil }
    }

    /// Does what the name server wants done.
    private func carryOut() {
        while !isClosed {
            let outputs = server.takeOutputs()
            if outputs.isEmpty { break }
            for output in outputs { carryOut(output) }
        }
        guard !isClosed else { return }
        if let deadline = server.nextDeadline { timer.start(after: max(.zero, deadline - .now)) } else { timer.stop() }
    }

    private func carryOut(_ output: NameServer.Output) {
        switch output {
        case .send(let message, let origin):
            switch origin.transport {
            // What the kernel has no room for is lost like any datagram on its way; the client asks again.
            case .udp: _ = try? listeners[origin.channel].datagrams.send(message, to: origin.address, from: origin.local)
            case .tcp: clients[origin.channel]?.answer(message)
            }
        case .lookUp(let key, let old):
            source.lookUp(key, old) { [weak self] finding in
                guard let self, !isClosed else { return }
                server.finishLookUp(key, finding, at: .now)
                carryOut()
            }
        case .forward(let query, let id, let transport):
            forwarder.ask(query, id: id, over: transport) { [weak self] answer in
                guard let self, !isClosed else { return }
                server.finishForward(id, answer, at: .now)
                carryOut()
            }
        }
    }
}
