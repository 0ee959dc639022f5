import Crypto
import Platform

/// What is to go over a connection to a homeserver.
public enum UpstreamService: Sendable {
    /// HTTP. Where the homeserver is reached by Pubky TLS or by HTTPS that is ended here; inside the tunnel nothing is added, so the
    /// tunnel has to end at the homeserver's plain listener.
    case plain
    /// HTTP over Pubky TLS that is ended here whichever way leads there, also inside the tunnel, which has to end at the Pubky TLS listener.
    case tls
    /// Bytes of the client's own Pubky TLS, untouched. No domain is used: its certificate would be another.
    case raw
}

/// The way that a connection takes, as in `stream` objects (keyhole-objects(5)).
public enum UpstreamPath: String, Sendable {
    /// TCP and Pubky TLS, to an address of the records.
    case pubkyTLS = "pubky-tls"
    /// HTTPS with an ordinary certificate, to a domain of the records.
    case icann
    /// QUIC, to an address.
    case direct
    /// QUIC, through a hole in both NATs.
    case punched
    /// QUIC, through a relay.
    case relay
}

/// A way that was tried and did not work.
public struct UpstreamAttempt: Equatable, Sendable {
    public var path: UpstreamPath
    /// The address, domain or relay.
    public var remote: String
    /// Lower case, no full stop.
    public var reason: String
    /// From its own start to its failure.
    public var after: Duration

    public init(path: UpstreamPath, remote: String, reason: String, after: Duration) {
        self.path = path
        self.remote = remote
        self.reason = reason
        self.after = after
    }
}

extension UpstreamAttempt: CustomStringConvertible {
    public var description: String { "\(path.rawValue) \(remote): \(reason)" }
}

/// A connection to a homeserver, ready for the first byte of a request.
public final class UpstreamConnection {
    /// Which way it goes. A tunnel may move to another later, without this connection's doing.
    public let path: UpstreamPath
    /// The address, domain or relay at the other end; empty when the dialler did not say.
    public let remote: String
    /// The homeserver's key: of a user's name, not the user's.
    public let homeserver: PublicKey
    /// What to send as `Host` instead of the key, which then goes into a header `pubky-host` (spec/pkarr-wire.md, 5.4); nil but for
    /// ``UpstreamPath/icann``.
    public let authority: String?
    /// What was tried meanwhile or before, and why it was no good.
    public let attempts: [UpstreamAttempt]
    private var socket: FileDescriptor?

    /// - Parameter socket: A stream socket, non-blocking, with plain bytes in both directions.
    public init(
        _ socket: consuming FileDescriptor, path: UpstreamPath, remote: String, homeserver: PublicKey, authority: String? = nil,
        attempts: [UpstreamAttempt] = []
    ) {
        self.socket = consume socket
        self.path = path
        self.remote = remote
        self.homeserver = homeserver
        self.authority = authority
        self.attempts = attempts
    }

    /// The socket, which belongs to the caller from then on; nil when somebody has it already. The connection's end closes it if nobody does.
    public func takeSocket() -> FileDescriptor? { socket.take() }
}

/// Makes connections to homeservers.
public protocol Upstream: AnyObject {
    /// Begins to look for a way.
    ///
    /// - Parameter completion: Called once, never from inside this call and not after ``UpstreamRequest/cancel()``.
    /// - Returns: The request, which goes on also when nobody keeps it.
    @discardableResult
    func connect(
        to host: KeyedHost, service: UpstreamService, completion: @escaping (Result<UpstreamConnection, LadderError>) -> Void
    ) -> any UpstreamRequest
}

/// A connection that is wanted.
public protocol UpstreamRequest: AnyObject {
    /// Ends it; the completion is not called any more. Harmless at the end.
    func cancel()
}
