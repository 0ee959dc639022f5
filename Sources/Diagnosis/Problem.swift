/// What a diagnosis finds to be wrong, the gravest first. The words are for programs (keyhole-diagnose(1)).
public enum Problem: String, Sendable, CaseIterable {
    case noWayOut = "no-way-out"
    case wrongPeer = "wrong-peer"
    case sourcesSilent = "sources-silent"
    case noPacket = "no-packet"
    case noEndpoint = "no-endpoint"
    case relayRefuses = "relay-refuses"
    case unreachable
    case notServed = "not-served"
    case incomplete
    case noRelay = "no-relay"
    case udpBlocked = "udp-blocked"
    case symmetricNAT = "symmetric-nat"
    case staysRelayed = "stays-relayed"
    case badRecords = "bad-records"
    case strangers

    /// Whether the key, or without one the network, is of no use because of it.
    public var isFatal: Bool {
        switch self {
        case .noWayOut, .wrongPeer, .sourcesSilent, .noPacket, .noEndpoint, .relayRefuses, .unreachable, .notServed, .incomplete: true
        case .noRelay, .udpBlocked, .symmetricNAT, .staysRelayed, .badRecords, .strangers: false
        }
    }
}

extension Facts {
    /// What is wrong, the gravest first.
    public var problems: [Problem] { Problem.allCases.filter(holds) }

    private var isSilent: Bool {
        let isHeard = [v4, v6].contains(where: \.isAnswered) || relays.contains { $0 != .unreachable }
        return !isHeard && sourcesAnswered == 0 && peer?.ways.contains { $0.outcome != .failed } != true
    }

    private func holds(_ problem: Problem) -> Bool {
        switch problem {
        case .noWayOut: isSilent && (sourcesSilent > 0 || !relays.isEmpty || v4.isAsked || v6.isAsked)
        case .wrongPeer: peer?.connection == .wrongPeer
        case .sourcesSilent: !isSilent && sourcesAnswered == 0 && sourcesSilent > 0
        case .noPacket: peer?.hasPacket == false && sourcesAnswered > 0 && sourcesPending == 0
        case .noEndpoint: peer?.hasPacket == true && peer?.hasEndpoint == false
        case .relayRefuses:
            peer?.connection == .failed(isRefused: true) || peer == nil && !relays.contains(.usable) && relays.contains(.refused)
        case .unreachable: peer?.connection == .failed(isRefused: false)
        case .notServed: peer?.isServed == false && peer?.connection != nil
        case .incomplete: !isComplete && (peer == nil || peer?.connection == nil)
        case .noRelay: !isSilent && !relays.isEmpty && !relays.contains { $0 != .unreachable }
        case .udpBlocked: !isSilent && isUDPBlocked
        // Whoever has the other family without it is as well off.
        case .symmetricNAT: [v4, v6].contains { $0.mapping == .dependent } && ![v4, v6].contains { [.none, .independent].contains($0.mapping) }
        case .staysRelayed: peer?.connection == .relayed && peer?.isPunched == false
        case .badRecords: peer?.hasBadRecords == true
        case .strangers: peer?.connection != .wrongPeer && peer?.ways.contains { $0.outcome == .wrongPeer } == true
        }
    }
}
