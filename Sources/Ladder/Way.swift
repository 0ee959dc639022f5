import Crypto
import Iroh
import Platform

/// One thing to try.
enum Way: Hashable, Sendable {
    /// TCP and Pubky TLS.
    case keyed(KeyedAddress)
    /// A domain, whose addresses have to be looked up first.
    case domain(Domain)
    /// TCP and HTTPS, to one address of a domain.
    case certified(SocketAddress, Domain)
    /// QUIC, which finds its own way among the peer's addresses and relays.
    case tunnel(EndpointAddress)

    var path: UpstreamPath {
        switch self {
        case .keyed: .pubkyTLS
        case .domain, .certified: .icann
        case .tunnel(let endpoint): endpoint.addresses.isEmpty ? .relay : .direct
        }
    }

    /// Where it leads, for a person.
    var remote: String {
        switch self {
        case .keyed(let place): "\(place.address)"
        case .domain(let domain): domain.authority
        case .certified(let address, let domain): "\(domain.authority) at \(address)"
        case .tunnel(let endpoint): endpoint.addresses.first.map { "\($0)" } ?? endpoint.relayURLs.first.map { "\($0)" } ?? ""
        }
    }

    /// Whose homeserver it leads to.
    var key: PublicKey {
        switch self {
        case .keyed(let place): place.key
        case .domain(let domain), .certified(_, let domain): domain.key
        case .tunnel(let endpoint): endpoint.id
        }
    }

    /// What it was found from: what of it can be tried another time.
    var origin: Way { if case .certified(_, let domain) = self { .domain(domain) } else { self } }
}

extension Places {
    /// The rungs of the ladder, the first to be tried first.
    ///
    /// - Parameter winner: What worked last time. Its rung comes first, and it comes first there, if it is still among the places.
    func rungs(usesDomains: Bool, usesTunnels: Bool, first winner: Way?) -> [[Way]] {
        let direct = addresses.withFamiliesInTurn(\.address.ip).map(Way.keyed)
        var rungs = [direct, usesDomains ? domains.map(Way.domain) : [], usesTunnels ? endpoints.map(Way.tunnel) : []].filter { !$0.isEmpty }
        if let winner, let rung = rungs.firstIndex(where: { $0.contains(winner) }) {
            let first = rungs.remove(at: rung)
            rungs.insert([winner] + first.filter { $0 != winner }, at: 0)
        }
        return rungs
    }
}
