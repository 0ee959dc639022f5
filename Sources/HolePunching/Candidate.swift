import Platform

/// An address at which an endpoint may be reached over UDP (RFC 8445, section 5.1.1, whose words these are).
public struct Candidate: Hashable, Sendable {
    /// How an endpoint knows of it.
    public enum Source: UInt8, Sendable, CaseIterable {
        /// An interface of this machine has it.
        case host = 1
        /// A STUN server, or a peer, has seen our packets come from it.
        case reflexive = 2
        /// A router has promised to send on what comes to it (PCP, NAT-PMP, UPnP).
        case mapped = 3
        /// The user says so.
        case configured = 4
    }

    public var address: SocketAddress
    public var source: Source

    public init(_ address: SocketAddress, _ source: Source) {
        self.address = address
        self.source = source
    }
}
