import Crypto
import EventLoop
import Paths
import Platform
import QUIC

/// Gives each stream that a peer opens its local end.
public protocol StreamBackend: AnyObject {
    /// The streams that it has refused.
    var refusals: Refusals { get }

    /// Finds a local end for the stream and pumps, or refuses it.
    ///
    /// - Parameters:
    ///   - onServed: Called when there is a local end: the peer may have what it asks for.
    ///   - log: Takes what is worth noting.
    func serve(_ stream: Stream, of connection: Connection, onServed: @escaping () -> Void, log: @escaping (String) -> Void)
}

/// The listening side: takes connections and hands their streams to a backend.
public final class StreamServer: ConnectionAcceptor, ConnectionHandler {
    private let backend: any StreamBackend
    private let driver: EndpointDriver
    private let log: (String) -> Void
    private var connections: [ObjectIdentifier: (connection: Connection, punching: Punching?)] = [:]

    /// - Parameter log: Takes one line for each thing worth noting.
    public init(_ backend: any StreamBackend, over driver: EndpointDriver, log: @escaping (String) -> Void) {
        self.backend = backend
        self.driver = driver
        self.log = log
    }

    /// The streams that were refused.
    public var refusals: Refusals { backend.refusals }

    public func accepted(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = (connection, driver.puncher.attach(connection))
        connection.handler = self
    }

    public func connectionEstablished(_ connection: Connection) { log("\(label(connection)) connected, ALPN \(connection.alpn)") }

    public func connection(_ connection: Connection, opened stream: Stream) {
        // Whoever may be let in learns where we are, nobody else.
        let punching = connections[ObjectIdentifier(connection)]?.punching
        backend.serve(stream, of: connection, onServed: { punching?.admit() }) { [self] in log("\(label(connection)) stream \(stream.id): \($0)") }
    }

    public func connectionAllowsStreams(_ connection: Connection) {}

    public func connectionMoved(_ connection: Connection) { log("\(label(connection)) moved here") }

    /// What has cut off the peer, such as another address of our router, may have cut off the relay too, by which it would come back.
    public func connectionIsSilent(_ connection: Connection) { driver.relays.check() }

    public func connectionClosed(_ connection: Connection, reason: CloseReason) {
        connections.removeValue(forKey: ObjectIdentifier(connection))?.punching?.stop()
        log("\(label(connection)) ended: \(reason)")
    }

    /// Who is at the other end, and where.
    private func label(_ connection: Connection) -> String {
        "\(connection.peer?.zBase32 ?? "unknown peer") at \(driver.target(of: connection.path))"
    }

    /// Ends all connections in order.
    public func close() {
        for (connection, _) in connections.values { connection.close(code: 0, reason: "shutting down", now: .now) }
    }
}

/// Streams go where `tunnel-bridge serve` says: it hands over a connected socket for each.
public final class BridgeBackend: StreamBackend {
    public private(set) var refusals = Refusals()
    private let bridge: HandoverClient
    private let driver: EndpointDriver
    private let loop: EventLoop

    public init(_ bridge: HandoverClient, over driver: EndpointDriver, on loop: EventLoop) {
        self.bridge = bridge
        self.driver = driver
        self.loop = loop
    }

    public func serve(_ stream: Stream, of connection: Connection, onServed: @escaping () -> Void, log: @escaping (String) -> Void) {
        let request = HandoverRequest(peer: connection.peer, alpn: connection.alpn, path: connection.path.word, remote: "\(driver.target(of: connection.path))")
        bridge.requestConnection(request) { [self] (result: consuming Result<FileDescriptor, HandoverError>, handed: HandoverStream) in
            switch consume result {
            case .success(let socket):
                let number = socket.release()
                onServed()
                StreamPump.run(stream, input: number, output: number, allowance: handed.allowance, on: loop) { ending, carried in
                    if ending != .finished { log("\(ending)") }
                    handed.end(bytes: carried)
                }
            case .failure(let error):
                log("refused: \(error)")
                refusals.count(error.word)
                stream.refuse()
            }
        }
    }
}

/// Each stream gets a program of its own, in the manner of UCSPI servers: the stream as standard input and output, the peer in the environment.
public final class ProgramBackend: StreamBackend {
    /// Programs at once; more streams are refused. Each is a process of its own.
    private static let most = 1024

    public private(set) var refusals = Refusals()
    private let arguments: [String]
    private let localKey: PublicKey
    private let loop: EventLoop
    private var running: [ObjectIdentifier: ChildProcess] = [:]

    public init(_ arguments: [String], localKey: PublicKey, on loop: EventLoop) {
        self.arguments = arguments
        self.localKey = localKey
        self.loop = loop
    }

    public func serve(_ stream: Stream, of connection: Connection, onServed: @escaping () -> Void, log: @escaping (String) -> Void) {
        guard running.count < Self.most else {
            log("refused: \(Self.most) programs run already")
            refusals.count("overloaded")
            return stream.refuse()
        }
        do throws(SystemError) {
            let program = try StreamProgram(arguments, environment: StreamProgram.environment(connection, localKey: localKey), on: loop) {
                [weak self] child, ending in
                self?.running[ObjectIdentifier(child)] = nil
                if ending != .exited(0) { log("\(self?.arguments.first ?? "program") ended: \(ending)") }
            }
            running[ObjectIdentifier(program.child)] = program.child
            onServed()
            StreamPump.run(stream, input: program.output, output: program.input, on: loop) { ending, _ in
                if ending != .finished { log("\(ending)") }
            }
        } catch {
            log("can't run \(arguments[0]): \(error.reason)")
            refusals.count("program")
            stream.refuse()
        }
    }
}
