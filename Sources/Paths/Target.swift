import Iroh
import Platform
import QUIC

/// Where a peer may be reached.
public enum Target: Hashable, Sendable, CustomStringConvertible {
    case address(SocketAddress)
    /// Through a relay.
    case relay(RelayURL)

    public var description: String {
        switch self {
        case .address(let address): address.description
        case .relay(let url): url.description
        }
    }

    /// The kind of path that leads there, as in stream lines (keyhole-objects(5)).
    public var pathWord: String {
        switch self {
        case .address: NetworkPath.directWord
        case .relay: NetworkPath.relayWord
        }
    }
}

extension NetworkPath {
    public static let directWord = "direct", relayWord = "relay"

    /// The kind of path, as in stream lines (keyhole-objects(5)).
    public var word: String { isRelayed ? Self.relayWord : Self.directWord }
}
