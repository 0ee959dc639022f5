import Crypto
import EventLoop
import Iroh
import Paths
import Platform
import QUIC

/// The dialling side's connection to one peer: made when the first stream is wanted, shared by all, and made anew after it was lost.
public final class PeerLink: ConnectionHandler {
    /// Requests for streams that may wait for the connection or for the peer to allow more.
    private static let mostWaiting = 1024

    /// Why there is no stream.
    public enum LinkError: Error, CustomStringConvertible {
        /// Nothing is known of where the peer is.
        case noAddresses
        case unreachable([Dialer.Failure])
        case wrongPeer(Target)
        case lost(CloseReason)
        case overloaded

        public var description: String {
            switch self {
            case .noAddresses: "no address or relay of the peer is known"
            case .unreachable(let failures): failures.isEmpty ? "no way reached the peer" : "no way reached the peer (\(failures.map(\.description).joined(separator: "; ")))"
            case .wrongPeer(let target): "\(target) proved to be somebody else"
            case .lost(let reason): "the connection was lost: \(reason)"
            case .overloaded: "\(PeerLink.mostWaiting) streams wait already"
            }
        }
    }

    /// What happens to the connection.
    public enum Event {
        case connected(Connection, failures: [Dialer.Failure])
        case moved(Connection)
        case failed(LinkError)
        case closed(CloseReason)
    }

    /// Where the peer is. A change counts for the next connection, and for the other paths of this one.
    public var peer: EndpointAddress { didSet { keeper?.peer = peer } }
    private let driver: EndpointDriver
    private let timeout: Duration
    private let onEvent: (Event) -> Void
    private var connection: Connection?
    private var keeper: PathKeeper?
    private var isDialling = false
    private var waiting: [(Result<Stream, LinkError>) -> Void] = []

    public init(
        _ peer: EndpointAddress, over driver: EndpointDriver, timeout: Duration, onEvent: @escaping (Event) -> Void
    ) {
        self.peer = peer
        self.driver = driver
        self.timeout = timeout
        self.onEvent = onEvent
    }

    /// Opens a stream, dialling first if need be. The completion is called once, perhaps at once.
    public func openStream(_ completion: @escaping (Result<Stream, LinkError>) -> Void) {
        if waiting.isEmpty, let stream = connection?.openStream() { return completion(.success(stream)) }
        guard waiting.count < Self.mostWaiting else { return completion(.failure(.overloaded)) }
        waiting.append(completion)
        if connection == nil { dial() }
    }

    /// Whether somebody has a stream or waits for one.
    public var isBusy: Bool { isDialling || !waiting.isEmpty || connection?.hasStreams == true }

    /// Ends the connection in order; the next stream makes a new one.
    public func close(reason: String = "") {
        connection?.close(code: 0, reason: reason, now: .now)
    }

    private func dial() {
        guard !isDialling else { return }
        guard !peer.addresses.isEmpty || !peer.relayURLs.isEmpty else { return fail(.noAddresses) }
        isDialling = true
        _ = Dialer(peer, over: driver, timeout: timeout) { [self] outcome in
            isDialling = false
            switch outcome {
            case .connected(let connection, let failures):
                self.connection = connection
                connection.handler = self
                keeper = PathKeeper(connection, to: peer, over: driver)
                onEvent(.connected(connection, failures: failures))
                if connection.path.isRelayed { driver.afterHandshake { [self] in serveWaiting() } } else { serveWaiting() }
            case .failed(let failures): fail(.unreachable(failures))
            case .wrongPeer(let target): fail(.wrongPeer(target))
            }
        }
    }

    private func fail(_ error: LinkError) {
        let failed = waiting
        waiting = []
        onEvent(.failed(error))
        for completion in failed { completion(.failure(error)) }
    }

    private func serveWaiting() {
        while let first = waiting.first, let stream = connection?.openStream() {
            waiting.removeFirst()
            first(.success(stream))
        }
    }

    public func connectionEstablished(_ connection: Connection) {}

    /// A client of ours offers no service: a stream that the peer opens is refused.
    public func connection(_ connection: Connection, opened stream: Stream) { stream.refuse() }

    public func connectionAllowsStreams(_ connection: Connection) { serveWaiting() }

    public func connectionMoved(_ connection: Connection) {
        keeper?.connectionMoved()
        onEvent(.moved(connection))
    }

    public func connection(_ connection: Connection, validated path: NetworkPath, success: Bool) { keeper?.validated(path, success: success) }

    public func connectionIsSilent(_ connection: Connection) { keeper?.connectionIsSilent() }

    public func connectionClosed(_ connection: Connection, reason: CloseReason) {
        self.connection = nil
        keeper?.stop()
        keeper = nil
        onEvent(.closed(reason))
        if !waiting.isEmpty { dial() }
    }
}
