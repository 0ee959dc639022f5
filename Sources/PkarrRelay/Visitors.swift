import HTTPServer
import Platform
import RateLimits

/// Who the clients are, and how much each may ask (spec/pkarr-wire.md, 2.3).
public struct Visitors {
    /// How often an address may do what.
    public struct Quotas: Sendable {
        /// Requests of any kind. A page that shows ten keys asks for all at once, and asks before each whether it may.
        public static let defaultRequests = Quota(10, each: .second, burst: 50)!
        /// Requests that have the DHT asked, which costs some fifty datagrams: puts, and gets of what is not here.
        public static let defaultLookups = Quota(2, each: .second, burst: 20)!

        /// Nil for no limit.
        public var requests: Quota?
        public var lookups: Quota?

        public init(requests: Quota? = defaultRequests, lookups: Quota? = defaultLookups) {
            self.requests = requests
            self.lookups = lookups
        }
    }

    /// Addresses without limits, which also see the metrics: the operator's own.
    let exempt: [AddressRange]
    /// Proxies that are believed who their client is.
    let proxies: [AddressRange]
    private(set) var requests: AddressLimiter
    private(set) var lookups: AddressLimiter

    public init(quotas: Quotas = Quotas(), exempt: [AddressRange] = AddressRange.loopback, proxies: [AddressRange] = []) {
        self.exempt = exempt
        self.proxies = proxies
        requests = AddressLimiter(quotas.requests, exempt: exempt)
        lookups = AddressLimiter(quotas.lookups, exempt: exempt)
    }

    mutating func admitRequest(of client: IPAddress, now: Instant) -> AddressLimiter.Verdict { requests.admit(client, now: now) }
    mutating func admitLookup(of client: IPAddress, now: Instant) -> AddressLimiter.Verdict { lookups.admit(client, now: now) }

    func isExempt(_ client: IPAddress) -> Bool { exempt.contains { $0.contains(client.unmapped) } }

    /// The client behind a connection. Only a trusted proxy is believed, and of what `X-Forwarded-For` lists only what trusted ones have
    /// added: from the right, up to the first that is none of them. What a client has written itself is further to the left.
    ///
    /// That header and no other, because a proxy that sets one lets the others of its client through.
    func client(of exchange: HTTPExchange) -> IPAddress {
        var nearest = exchange.peer.unmapped
        guard isProxy(nearest), let list = exchange.list(Visitors.header) else { return nearest }
        for entry in list.split(separator: ",", omittingEmptySubsequences: false).reversed() {
            guard let ip = Visitors.address(entry) else { return nearest }
            nearest = ip
            if !isProxy(ip) { return ip }
        }
        return nearest
    }

    /// Whether somebody forwards for others whom nobody has told us to trust: all his clients share one quota.
    func isUnknownProxy(_ exchange: HTTPExchange) -> Bool {
        exchange.header(Visitors.header) != nil && !isProxy(exchange.peer.unmapped) && isExempt(exchange.peer)
    }

    private static let header = "X-Forwarded-For"

    private func isProxy(_ ip: IPAddress) -> Bool { proxies.contains { $0.contains(ip) } }

    /// An address, or an address with a port as some proxies write it.
    private static func address(_ entry: Substring) -> IPAddress? {
        let text = entry.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed()
        return (IPAddress(String(text)) ?? SocketAddress(String(text))?.ip)?.unmapped
    }
}
