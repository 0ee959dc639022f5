import Crypto
import HostileKeys
import Iroh
import Platform
import QUIC

/// A listener that echoes, the time, and what is under way to it.
public final class HostileNetwork {
    private let server: Endpoint
    private let atServer = Echo()
    private let sink = Sink()
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var underway: [(arrival: Instant, datagram: [UInt8], path: NetworkPath)] = []
    /// The connection made last.
    var connection: Connection? { atServer.connection }

    public init() {
        server = Endpoint(key: SecretKey(seed: [UInt8](repeating: 1, count: 32))!, configuration: Configuration(alpn: ["test"]))
        server.acceptor = atServer
    }

    /// An ordinary client somewhere, and what it is sent.
    private final class Client {
        let endpoint = Endpoint(key: SecretKey(seed: [UInt8](repeating: 2, count: 32))!, configuration: Configuration(alpn: ["test"]))
        let handler = Echo()
        let sink = Sink()
        let connection: Connection
        var received: [[UInt8]] = []

        init(to key: PublicKey, now: Instant) {
            connection = endpoint.connect(to: key, on: Self.far, handler: handler, now: now)
        }

        private static let far = NetworkPath(transport: 0, remote: SocketAddress("192.0.2.200:4433")!)

        func receive(_ datagram: [UInt8], now: Instant) {
            received.append(datagram)
            datagram.withUnsafeBytes { endpoint.receive($0, on: Self.far, ecn: 0, now: now) }
        }
    }

    /// Carries datagrams between a client at `path` and the server until the condition holds, or for some round trips.
    private func serve(_ client: Client, at path: NetworkPath, until condition: () -> Bool) -> Bool {
        _ = sink.take()
        for _ in 0..<100 where !condition() {
            _ = client.endpoint.flush(to: client.sink, now: now)
            for (datagram, _) in client.sink.take() { send(datagram, from: path, after: .zero) }
            pass(.milliseconds(5))
            for (datagram, _) in sink.take() { client.receive(datagram, now: now) }
            if let deadline = client.endpoint.deadline, deadline <= now { client.endpoint.handleDeadline(now: now) }
        }
        return condition()
    }

    struct Handshake {
        var client: [UInt8], server: [UInt8]
        var serverID: [UInt8]
        /// All that the server has sent.
        var datagrams: [[UInt8]]
    }

    /// Lets an ordinary client connect, which is then heard no more of.
    func handshake(from path: NetworkPath) -> Handshake? {
        let client = Client(to: server.publicKey, now: now)
        hostile_watch(UnsafeMutableRawPointer(client.connection.handle))
        atServer.connection = nil
        var secrets = (client: [UInt8](repeating: 0, count: 32), server: [UInt8](repeating: 0, count: 32))
        guard serve(client, at: path, until: { client.connection.isConfirmed && atServer.connection != nil }),
              hostile_secrets(&secrets.client, &secrets.server),
              let first = client.received.first(where: { $0[0] & 0x80 != 0 && $0.count > 6 })
        else { return nil }
        // A long header: the id that the server chose stands after the client's.
        let start = 7 + Int(first[5])
        return Handshake(client: secrets.client, server: secrets.server, serverID: Array(first[start..<(start + 8)]), datagrams: client.received)
    }

    /// Whether an ordinary client gets an answer.
    public func serves() -> Bool {
        let client = Client(to: server.publicKey, now: now)
        defer { client.connection.close(code: 0, now: now) }
        let path = NetworkPath(transport: 0, remote: SocketAddress("192.0.2.3:4433")!)
        guard serve(client, at: path, until: { client.connection.isEstablished }), let stream = client.connection.openStream() else { return false }
        stream.handler = client.handler
        stream.write([1])
        return serve(client, at: path, until: { client.handler.count > Echo.greeting })
    }

    /// Connections that the QUIC library gave up, by what it found.
    public var givenUp: [String: Int] { atServer.givenUp }

    /// Lets time go by until everybody's connections have ended. Returns whether they have.
    public func settle() -> Bool {
        pass(.seconds(400))
        return server.connectionCount == 0
    }

    func send(_ datagram: [UInt8], from path: NetworkPath, after delay: Duration) { underway.append((now + delay, datagram, path)) }

    /// Time passes; what arrives meanwhile is taken, and what is due is done.
    func pass(_ duration: Duration) {
        let end = now + duration
        // A timer that is due again and again would stop the time.
        var rounds = 0
        while rounds < 10_000 {
            rounds += 1
            _ = server.flush(to: sink, now: now)
            let next = underway.indices.min { underway[$0].arrival < underway[$1].arrival }
            let time = min(next.map { underway[$0].arrival } ?? .never, server.deadline ?? .never)
            guard time <= end else { break }
            now = max(now, time)
            if let next, underway[next].arrival <= now {
                let one = underway.remove(at: next)
                one.datagram.withUnsafeBytes { server.receive($0, on: one.path, ecn: 0, now: now) }
            }
            if let deadline = server.deadline, deadline <= now { server.handleDeadline(now: now) }
        }
        precondition(rounds < 10_000, "a deadline that is due for ever")
        now = end
    }

    func takeAnswers() -> [([UInt8], NetworkPath)] { sink.take() }
}

/// Takes the datagrams apart.
private final class Sink: DatagramSink {
    private var datagrams: [([UInt8], NetworkPath)] = []

    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool {
        for start in stride(from: 0, to: bytes.count, by: segmentSize) {
            datagrams.append((Array(bytes[start..<min(bytes.count, start + segmentSize)]), path))
        }
        return true
    }

    func take() -> [([UInt8], NetworkPath)] {
        defer { datagrams = [] }
        return datagrams
    }
}

/// Sends back what comes on a stream that the peer has opened, after some bytes of its own.
private final class Echo: ConnectionAcceptor, ConnectionHandler, StreamHandler {
    static let greeting = 50_000

    weak var connection: Connection?
    private(set) var count = 0
    private(set) var givenUp: [String: Int] = [:]

    func accepted(_ connection: Connection) {
        self.connection = connection
        connection.handler = self
    }

    func connectionEstablished(_ connection: Connection) {}

    func connection(_ connection: Connection, opened stream: QUIC.Stream) {
        stream.handler = self
        stream.write([UInt8](repeating: 1, count: Self.greeting))
    }

    func connectionAllowsStreams(_ connection: Connection) {}
    func connectionMoved(_ connection: Connection) {}

    func connectionClosed(_ connection: Connection, reason: CloseReason) {
        if case .transport(_, let text, byPeer: false) = reason, text.contains("gave up") { givenUp[text, default: 0] += 1 }
    }

    func streamReadable(_ stream: QUIC.Stream) {
        while stream.readableCount > 0 {
            stream.read { vectors in
                let vector = vectors[0]
                count += vector.iov_len
                if stream.connection.isServer, stream.writableCount >= vector.iov_len {
                    stream.write(Array(UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)))
                }
                return vector.iov_len
            }
        }
    }

    func streamWritable(_ stream: QUIC.Stream) {}
    func streamReset(_ stream: QUIC.Stream, code: UInt64) {}
    func streamStopped(_ stream: QUIC.Stream, code: UInt64) {}
    func streamClosed(_ stream: QUIC.Stream) {}
    func streamLost(_ stream: QUIC.Stream, reason: CloseReason) {}
}
