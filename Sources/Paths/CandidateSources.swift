import HolePunching
import Platform

/// What is known of where our sockets may be reached, and what follows from it. Sans-I/O.
struct CandidateSources: Equatable {
    /// Interface addresses of a family at most. A machine with more has them for other purposes, and each costs whoever tries it packets.
    static let mostHosts = 4

    /// The addresses of the sockets.
    var sockets: [SocketAddress] = []
    var network = NetworkState()
    var configured: [SocketAddress] = []
    var mapped: [SocketAddress] = []
    var reflexive: [SocketAddress] = []
    /// Of the socket of each family, IPv6 being true.
    var mappings: [Bool: AddressMapping] = [:]
    /// Whether addresses that mean something only within this network may be published.
    var publishesLAN = false

    /// All of them, the surest first, each address once.
    var all: [Candidate] {
        let global = hosts.filter { $0.ip.scope == .global }, others = hosts.filter { $0.ip.scope != .global }
        let sources: [([SocketAddress], Candidate.Source)] = [
            (configured, .configured), (mapped, .mapped), (global, .host), (reflexive, .reflexive), (others, .host),
        ]
        var seen: Set<SocketAddress> = []
        return sources.flatMap { addresses, source in
            addresses.filter { seen.insert($0).inserted }.map { Candidate($0, source) }
        }
    }

    /// Those that everybody may be told. A reflexive address is not among them: what a NAT or a firewall has opened for our own packets
    /// is as a rule shut to strangers.
    var published: [SocketAddress] {
        var seen: Set<SocketAddress> = []
        let chosen = hosts.filter { $0.ip.scope == .global || publishesLAN || sockets.contains($0) }
        return (configured + mapped + chosen).filter { seen.insert($0).inserted }
    }

    /// Each address of this machine at which a socket takes datagrams, of use to others or not.
    var ownAddresses: [SocketAddress] {
        sockets.flatMap { socket in
            guard socket.ip.isUnspecified else { return [socket] }
            return network.addresses.filter { $0.ip.isV6 == socket.ip.isV6 }.map { SocketAddress(ip: $0.ip, port: socket.port) }
        }
    }

    /// The sockets' addresses that may be of use: those of the interfaces for one that is bound to all, else what it was bound to, whatever that is.
    private var hosts: [SocketAddress] {
        sockets.flatMap { socket in
            guard socket.ip.isUnspecified else { return [socket] }
            return network.usefulAddresses(v6: socket.ip.isV6).prefix(Self.mostHosts).map { SocketAddress(ip: $0, port: socket.port) }
        }
    }
}
