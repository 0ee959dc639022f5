import Crypto
import Iroh
import Pkarr
import Platform

/// Follows the records from a name to the places of its homeserver (spec/pkarr-wire.md, 5.3; RFC 9460). A record may name another key,
/// and that another; what a packet says counts only for its own key.
///
/// Takes packets, gives places: a walk that lacks packets says which, and is made again from the start when they have come.
struct Walk {
    /// What is known of a key's packet.
    enum Knowledge {
        case packet(SignedPacket)
        /// There is none, or nobody could be asked.
        case missing
        case unknown
    }

    /// Keys from one to the next, as upstream.
    static let deepest = 7
    /// Keys altogether. A packet has room for a dozen names of keys, and so has each of theirs.
    static let mostKeys = 8

    private(set) var places = Places()
    /// Whose packets are needed to go on.
    private(set) var needed: [PublicKey] = []
    /// Every key that the way leads over, in order.
    private(set) var keys: [PublicKey] = []
    private var names: Set<KeyedHost> = []
    private let caution: Caution
    private let knowledge: (PublicKey) -> Knowledge

    init(from host: KeyedHost, caution: Caution, knowledge: @escaping (PublicKey) -> Knowledge) {
        self.caution = caution
        self.knowledge = knowledge
        visit(host, depth: 0)
    }

    private mutating func visit(_ host: KeyedHost, depth: Int) {
        guard depth <= Self.deepest, names.insert(host).inserted else { return }
        if !keys.contains(host.key) {
            guard keys.count < Self.mostKeys else { return }
            keys.append(host.key)
        }
        switch knowledge(host.key) {
        case .missing: return
        case .unknown: if !needed.contains(host.key) { needed.append(host.key) }
        case .packet(let packet): read(packet, host, depth)
        }
    }

    private mutating func read(_ packet: SignedPacket, _ host: KeyedHost, _ depth: Int) {
        let records = packet.records
        // HTTPS is the more exact statement; SVCB is what else a homeserver may be found by.
        for type in [RecordType.https, .svcb] {
            let services = records.compactMap { record -> ServiceBinding? in
                guard record.type == type, record.name == host.recordName, case .service(let service) = record.data, !service.asksForMore else { return nil }
                return service
            }
            guard !services.isEmpty else { continue }
            // Sorting is stable, so what stands first is preferred among equals.
            for service in services.sorted(by: { $0.priority < $1.priority }) { follow(service, in: records, host, depth) }
            break
        }
        // A user's packet may tell of an endpoint too, which is the user's own device and no homeserver.
        if !host.isUser, let endpoint = PublishedEndpoint(RecordSet(publicKey: host.key, records: records)) { add(endpoint.address) }
    }

    private mutating func follow(_ service: ServiceBinding, in records: [ResourceRecord], _ host: KeyedHost, _ depth: Int) {
        let port = service.port ?? 443
        guard service.target != .root else {
            // As an alias, it says that there is no such service (RFC 9460, 2.5.1).
            guard service.priority > 0 else { return }
            let apex = DomainName(zone: host.key)
            let addresses = records.compactMap { record -> IPAddress? in
                guard record.name == apex, case .address(let ip) = record.data else { return nil }
                return ip
            }
            for ip in addresses + service.addressHints { add(ip, port, host.key) }
            return
        }
        let target = service.target.targetText
        if let next = KeyedHost(target) {
            visit(next, depth: depth + 1)
        } else if target == "localhost", service.port == nil, caution.allowsLocal {
            // A homeserver that has no domain says so (spec/pkarr-wire.md, 4.1); what else there is on this machine is none of it.
        } else if target.utf8.last != UInt8(ascii: ".") {
            add(Domain(name: target.lowercased(), port: port, key: host.key))
        }
    }

    private mutating func add(_ ip: IPAddress, _ port: UInt16, _ key: PublicKey) {
        let place = KeyedAddress(address: SocketAddress(ip: ip.unmapped, port: port), key: key)
        guard port != 0, !places.addresses.contains(place) else { return }
        guard caution.allows(ip) else { return refuse(.pubkyTLS, "\(place.address)") }
        if places.addresses.count < Places.mostAddresses { places.addresses.append(place) }
    }

    private mutating func add(_ domain: Domain) {
        guard domain.port != 0, !places.domains.contains(domain) else { return }
        guard caution.allows(domain: domain.name) else { return refuse(.icann, domain.authority) }
        if places.domains.count < Places.mostDomains { places.domains.append(domain) }
    }

    private mutating func add(_ endpoint: EndpointAddress) {
        var allowed = endpoint
        allowed.addresses = endpoint.addresses.filter { caution.allows($0.ip) }
        allowed.relayURLs = endpoint.relayURLs.filter(caution.allows)
        allowed.userData = nil
        for address in endpoint.addresses where !allowed.addresses.contains(address) { refuse(.direct, "\(address)") }
        for url in endpoint.relayURLs where !allowed.relayURLs.contains(url) { refuse(.relay, "\(url)") }
        allowed.addresses = Array(allowed.addresses.prefix(Places.mostAddresses))
        allowed.relayURLs = Array(allowed.relayURLs.prefix(Places.mostEndpoints))
        let leadsSomewhere = !allowed.addresses.isEmpty || !allowed.relayURLs.isEmpty
        if leadsSomewhere, places.endpoints.count < Places.mostEndpoints { places.endpoints.append(allowed) }
    }

    private mutating func refuse(_ path: UpstreamPath, _ remote: String) {
        let attempt = UpstreamAttempt(path: path, remote: remote, reason: Caution.reason, after: .zero)
        if !places.refused.contains(attempt) { places.refused.append(attempt) }
    }
}

extension KeyedHost {
    /// Where its HTTPS records stand.
    var recordName: DomainName {
        let apex = DomainName(zone: key)
        return isUser ? DomainName(labels: [Array(Self.userLabel.utf8)] + apex.labels)! : apex
    }
}
