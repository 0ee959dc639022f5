import Platform

/// How routers are asked to send on what comes to one of their ports.
public enum MappingProtocol: String, CaseIterable, Sendable {
    /// RFC 6887.
    case pcp
    /// RFC 6886.
    case natpmp
    /// UPnP IGD, WANIPConnection:1 and 2.
    case upnp
}

/// What a router has promised: UDP datagrams that come to `external` it sends on to `internal`.
public struct PortMapping: Equatable, Sendable {
    public var `internal`: SocketAddress
    public var external: SocketAddress
    public var `protocol`: MappingProtocol
    /// In seconds, from when it was promised; 0 for as long as the router runs.
    public var lifetime: UInt32

    public init(from external: SocketAddress, to internal: SocketAddress, by protocol: MappingProtocol, lifetime: UInt32) {
        self.internal = `internal`
        self.external = external
        self.protocol = `protocol`
        self.lifetime = lifetime
    }
}

/// What a router answers to being asked for a mapping.
public struct MappingGrant: Equatable, Sendable {
    public var external: SocketAddress
    /// In seconds; 0 for as long as the router runs.
    public var lifetime: UInt32
    /// The router's clock in seconds, which begins anew when it has forgotten its mappings; nil if it tells none.
    public var epoch: UInt32?

    public init(external: SocketAddress, lifetime: UInt32, epoch: UInt32?) {
        self.external = external
        self.lifetime = lifetime
        self.epoch = epoch
    }
}

/// Why there is no mapping.
public struct MappingRefusal: Error, Equatable, Sendable {
    public var reason: String
    /// Whether the router does not speak the protocol at all, so that it need not be asked for another port.
    public var isUnspoken: Bool

    public init(_ reason: String, isUnspoken: Bool = false) {
        self.reason = reason
        self.isUnspoken = isUnspoken
    }
}
