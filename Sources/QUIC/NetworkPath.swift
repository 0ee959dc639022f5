import Glibc
import Iroh
import Platform

/// Where a datagram came from or goes to.
public struct NetworkPath: Hashable, Sendable {
    /// Who is at the other end of it.
    public enum Remote: Hashable, Sendable {
        /// A UDP address.
        case address(SocketAddress)
        /// An endpoint, by way of a relay.
        case relayed(EndpointID)
    }

    /// Which of the ways to send datagrams, a socket or the connection to a relay; the endpoint does not interpret it.
    public var transport: Int
    /// The local address the peer knows us by, on sockets bound to several; nil lets the system choose.
    public var local: IPAddress?
    public var remote: Remote

    public init(transport: Int, local: IPAddress? = nil, remote: SocketAddress) {
        self.transport = transport
        self.local = local
        self.remote = .address(remote)
    }

    /// The path through a relay to an endpoint there.
    public init(relay transport: Int, to endpoint: EndpointID) {
        self.transport = transport
        remote = .relayed(endpoint)
    }

    public var isRelayed: Bool { if case .relayed = remote { true } else { false } }

    /// The UDP address at the other end; nil on a path through a relay.
    public var address: SocketAddress? { if case .address(let address) = remote { address } else { nil } }

    /// Whether both lead to the same place, by whichever of our own addresses.
    public func leads(whereLeads other: NetworkPath) -> Bool { transport == other.transport && remote == other.remote }

    /// What a Retry token is bound to (RFC 9000, section 8.1.4): nobody else can show the token.
    func withProvedBytes<Result>(_ body: (UnsafeRawPointer, Int) -> Result) -> Result {
        switch remote {
        case .address(let address): address.withSockaddr { body($0, Int($1)) }
        case .relayed(let id): id.withUnsafeBytes { body($0.baseAddress!, min($0.count, Self.longestAddress)) }
        }
    }

    /// ngtcp2 takes no longer address for a token and aborts the process instead. 28 of a key's 32 bytes are as hard to meet with another key.
    private static let longestAddress = MemoryLayout<sockaddr_in6>.size
}

/// Takes the datagrams that an endpoint wants sent.
public protocol DatagramSink: AnyObject {
    /// Sends datagrams of `segmentSize` bytes each, the last may be shorter, that stand one after the other in `bytes`. The bytes are
    /// taken, or lost as any datagram may be, when this returns.
    ///
    /// - Parameter ecn: The ECN bits of the IP header.
    /// - Returns: Whether more can be sent now; false once stops the round.
    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool
}
