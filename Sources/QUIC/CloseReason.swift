/// Why a connection ended.
public enum CloseReason: Equatable, Sendable {
    /// One side closed it with an application code; 0 is an orderly end.
    case application(code: UInt64, reason: String, byPeer: Bool)
    /// One side found a fault (RFC 9000, section 20.1). TLS alerts are 0x100 plus the alert.
    case transport(code: UInt64, reason: String, byPeer: Bool)
    /// The peer proved to own another key than the one asked for.
    case wrongPeer
    /// Nothing was heard for the idle timeout.
    case idle
    /// The peer was silent, and no other path led to it.
    case noPath
    /// No handshake came about in time.
    case handshakeTimeout
    /// The peer has lost the connection: a stateless reset.
    case reset
    /// The peer speaks no version of QUIC that we do.
    case version
}

extension CloseReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .application(let code, let reason, let byPeer):
            "closed by \(byPeer ? "the peer" : "us") with code \(code)\(reason.isEmpty ? "" : ": \(reason)")"
        case .transport(let code, let reason, let byPeer):
            "\(byPeer ? "the peer reported" : "found") error 0x\(String(code, radix: 16))\(Self.words(code))\(reason.isEmpty ? "" : ": \(reason)")"
        case .wrongPeer: "the peer proved to be somebody else"
        case .idle: "nothing was heard for the idle timeout"
        case .noPath: "the peer is silent, and no other path leads to it"
        case .handshakeTimeout: "no answer"
        case .reset: "the peer has forgotten the connection"
        case .version: "the peer speaks no QUIC version 1"
        }
    }

    /// What the codes seen in practice mean (spec/quic-interop.md, "TLS").
    private static func words(_ code: UInt64) -> String {
        switch code {
        case 0x02: " (connection refused)"
        case 0x12a, 0x12e, 0x130, 0x133: " (key refused)"
        case 0x128: " (no common kind of certificate)"
        case 0x174: " (a client key is demanded)"
        case 0x178: " (no common ALPN)"
        default: ""
        }
    }
}
