import Crypto
import Iroh
import Platform
import Testing

@testable import QUIC

/// Carries datagrams between endpoints in memory and makes time pass only when nothing else is left to do.
final class SimulatedNetwork {
    struct Datagram {
        var bytes: [UInt8]
        var from: NetworkPath.Remote
        var to: NetworkPath.Remote

        init(bytes: [UInt8], from: NetworkPath.Remote, to: NetworkPath.Remote) {
            self.bytes = bytes
            self.from = from
            self.to = to
        }

        init(bytes: [UInt8], from: SocketAddress, to: NetworkPath.Remote) { self.init(bytes: bytes, from: .address(from), to: to) }

        /// Whether it goes through the relay.
        var isRelayed: Bool { if case .relayed = to { true } else { false } }
    }

    /// A machine that has been up for a while.
    private(set) var now = Instant(nanoseconds: 1_000_000_000_000)
    private var underway: [(arrival: Instant, datagram: Datagram)] = []
    private var hosts: [NetworkPath.Remote: Host] = [:]
    /// Everything that was sent, whatever became of it.
    private(set) var sent: [Datagram] = []
    /// When each copy of a datagram arrives, from its sending on; none: it is lost.
    var fate: (Datagram) -> [Duration] = { _ in [.milliseconds(10)] }

    /// Does nothing and receives nothing until it is let run again, as a computer that sleeps.
    var sleeper: Host?

    func attach(_ host: Host, at address: NetworkPath.Remote) { hosts[address] = host }

    /// Puts a datagram under way, whatever its fate would be.
    func send(_ datagram: Datagram, after delay: Duration) { underway.append((now + delay, datagram)) }

    func send(_ datagram: Datagram) {
        sent.append(datagram)
        for delay in fate(datagram) { underway.append((now + delay, datagram)) }
    }

    /// Runs until the condition holds or `limit` has passed. Returns whether it holds.
    @discardableResult
    func run(for limit: Duration = .seconds(120), until condition: () -> Bool = { false }) -> Bool {
        let end = now + limit
        while true {
            for host in Set(hosts.values) where host !== sleeper { _ = host.endpoint.flush(to: host, now: now) }
            if condition() { return true }
            let arrival = underway.indices.filter { hosts[underway[$0].datagram.to] !== sleeper || sleeper == nil }
                .min { underway[$0].arrival < underway[$1].arrival }
            let deadline = hosts.values.filter { $0 !== sleeper }.compactMap(\.endpoint.deadline).min()
            guard let next = [arrival.map { underway[$0].arrival }, deadline].compactMap({ $0 }).min(), next <= end else {
                now = end
                return condition()
            }
            now = max(now, next)
            if let arrival, underway[arrival].arrival <= now {
                let datagram = underway.remove(at: arrival).datagram
                hosts[datagram.to]?.receive(datagram, now: now)
            }
            for host in Set(hosts.values) where host !== sleeper {
                if let deadline = host.endpoint.deadline, deadline <= now { host.endpoint.handleDeadline(now: now) }
            }
        }
    }
}

/// An endpoint with its place in the network.
final class Host: DatagramSink, Hashable {
    let network: SimulatedNetwork
    var endpoint: Endpoint
    /// Where its datagrams seem to come from. A network address translator may change that at any time.
    var address: SocketAddress { didSet { network.attach(self, at: .address(address)) } }
    /// The number of its socket, and of its connection to the relay.
    static let socket = 0, relay = 1

    init(_ network: SimulatedNetwork, _ address: String, key: SecretKey, _ configuration: Configuration = Configuration(alpn: ["test"])) {
        self.network = network
        self.address = SocketAddress(address)!
        endpoint = Endpoint(key: key, configuration: configuration)
        network.attach(self, at: .address(self.address))
        network.attach(self, at: .relayed(id))
    }

    /// What the relay knows it by.
    var id: EndpointID { EndpointID(endpoint.publicKey) }
    /// The paths that lead to it.
    var direct: NetworkPath { NetworkPath(transport: Self.socket, remote: address) }
    var relayed: NetworkPath { NetworkPath(relay: Self.relay, to: id) }

    func receive(_ datagram: SimulatedNetwork.Datagram, now: Instant) {
        let path: NetworkPath
        switch datagram.from {
        case .address(let address): path = NetworkPath(transport: Self.socket, remote: address)
        case .relayed(let id): path = NetworkPath(relay: Self.relay, to: id)
        }
        datagram.bytes.withUnsafeBytes { endpoint.receive($0, on: path, ecn: 0, now: now) }
    }

    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool {
        for start in stride(from: 0, to: bytes.count, by: segmentSize) {
            let piece = bytes[start..<min(bytes.count, start + segmentSize)]
            network.send(.init(bytes: Array(piece), from: path.isRelayed ? .relayed(id) : .address(address), to: path.remote))
        }
        return true
    }

    static func == (left: Host, right: Host) -> Bool { left === right }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Notes what happens at one end, and does something with what arrives.
final class Recorder: ConnectionAcceptor, ConnectionHandler, StreamHandler {
    enum Reading { case echo, collect, nothing }

    var reading: Reading
    private(set) var accepted: [Connection] = []
    private(set) var established = 0
    private(set) var opened: [QUIC.Stream] = []
    private(set) var moved = 0
    private(set) var silences = 0
    private(set) var validations: [(path: NetworkPath, success: Bool)] = []
    var onSilence: (Connection) -> Void = { _ in }
    private(set) var endings: [CloseReason] = []
    private(set) var received: [Int64: [UInt8]] = [:]
    private(set) var finished: Set<Int64> = []
    private(set) var closedStreams = 0
    private(set) var lostStreams = 0
    var onReadable: (QUIC.Stream) -> Void = { _ in }

    init(_ reading: Reading = .collect) { self.reading = reading }

    func accepted(_ connection: Connection) {
        accepted.append(connection)
        connection.handler = self
    }

    func connectionEstablished(_ connection: Connection) { established += 1 }

    func connection(_ connection: Connection, opened stream: QUIC.Stream) {
        opened.append(stream)
        stream.handler = self
    }

    func connectionAllowsStreams(_ connection: Connection) {}
    func connectionMoved(_ connection: Connection) { moved += 1 }
    func connection(_ connection: Connection, validated path: NetworkPath, success: Bool) { validations.append((path, success)) }

    func connectionIsSilent(_ connection: Connection) {
        silences += 1
        onSilence(connection)
    }

    func connectionClosed(_ connection: Connection, reason: CloseReason) { endings.append(reason) }

    func streamReadable(_ stream: QUIC.Stream) {
        onReadable(stream)
        guard reading != .nothing else { return }
        while stream.readableCount > 0 {
            stream.read { vectors in
                var count = 0
                for vector in vectors {
                    received[stream.id, default: []] += UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
                    count += vector.iov_len
                }
                return count
            }
        }
        guard stream.isReadFinished, finished.insert(stream.id).inserted, reading == .echo else { return }
        stream.write(received[stream.id] ?? [])
        stream.finish()
    }

    func streamWritable(_ stream: QUIC.Stream) {}
    func streamReset(_ stream: QUIC.Stream, code: UInt64) {}
    func streamStopped(_ stream: QUIC.Stream, code: UInt64) {}
    func streamClosed(_ stream: QUIC.Stream) { closedStreams += 1 }
    func streamLost(_ stream: QUIC.Stream, reason: CloseReason) { lostStreams += 1 }
}

/// A client and a server that echoes.
struct Pair {
    let network = SimulatedNetwork()
    let client: Host
    let server: Host
    let atClient = Recorder()
    let atServer: Recorder
    let serverKey = SecretKey(seed: [UInt8](repeating: 1, count: 32))!

    init(_ reading: Recorder.Reading = .echo, _ configuration: Configuration = Configuration(alpn: ["test"])) {
        atServer = Recorder(reading)
        client = Host(network, "192.0.2.1:1000", key: SecretKey(seed: [UInt8](repeating: 2, count: 32))!, configuration)
        server = Host(network, "192.0.2.2:2000", key: serverKey, configuration)
        server.endpoint.acceptor = atServer
    }

    /// Dials; nothing is sent before the network runs.
    func dial(_ key: PublicKey? = nil, on path: NetworkPath? = nil) -> Connection {
        client.endpoint.connect(to: key ?? serverKey.publicKey, on: path ?? server.direct, handler: atClient, now: network.now)
    }

    func connect(on path: NetworkPath? = nil) throws -> Connection {
        let connection = dial(on: path)
        try #require(network.run(for: .seconds(10)) { connection.isEstablished && atServer.established > 0 })
        return connection
    }

    /// Sends bytes on a new stream and returns what came back.
    func echo(_ bytes: [UInt8], over connection: Connection) throws -> [UInt8]? {
        let stream = try #require(connection.openStream())
        stream.handler = atClient
        stream.write(bytes)
        stream.finish()
        network.run { atClient.finished.contains(stream.id) }
        return atClient.received[stream.id]
    }
}

/// The same numbers each time (xorshift64*).
struct Numbers: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }
}

func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }
