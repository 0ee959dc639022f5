import Platform

extension Candidate {
    /// Of one IP address at most so many ports: a peer has a few sockets, and a scan of ports has many.
    static let mostPortsOfAnAddress = 3

    /// Which of the addresses that a peer names are probed: those that can be one host's on a network, each once, at most
    /// ``ControlMessage/mostCandidates`` of them.
    static func probed(_ candidates: [Candidate]) -> [Candidate] {
        var ports: [IPAddress: Set<UInt16>] = [:]
        let wanted = candidates.filter { candidate in
            let address = candidate.address
            guard address.isUnicast, ports[address.ip, default: []].count < mostPortsOfAnAddress else { return false }
            return ports[address.ip, default: []].insert(address.port).inserted
        }
        return Array(wanted.prefix(ControlMessage.mostCandidates))
    }
}

extension SocketAddress {
    /// Whether a packet there can reach one other machine: neither this one (other programs on it would be met), nor many, nor none.
    /// Link-local addresses mean something only together with an interface.
    var isUnicast: Bool {
        guard port != 0, ip.unmapped == ip, !ip.isLoopback, !ip.isUnspecified else { return false }
        return switch ip {
        case .v4(let value): value >> 24 != 0 && value >> 28 < 0xe && value >> 16 != 0xa9fe
        case .v6(let high, _): high >> 56 != 0xff && high >> 54 != 0x3fa
        }
    }
}
