import Crypto
import HTTPServer
import Metrics
import Pkarr
import Platform
import RateLimits

/// A pkarr HTTP relay in front of a DHT node: the interface of pkarr-relay 1.0 (spec/pkarr-wire.md, 2.1 to 2.3), and for its operator
/// `/healthz` and `/metrics`.
///
/// It takes exchanges from whoever has them and answers each once, now or later.
public final class PkarrRelay {
    /// The longest body that is read: more is 413.
    public static let largestBody = 1104
    /// Packets in the cache, pkarr's own number.
    static let cacheCapacity = 1000

    let network: any PacketNetwork
    /// Whether the node was started without others to join: then having nobody to ask means that nobody has anything.
    let isFirstOfNetwork: Bool
    var cache: PacketCache
    /// Keys by their paths: to see whether a key is one at all takes longer than all else that a packet in the cache does.
    private var names = RecentlyUsed<String, PublicKey>(capacity: cacheCapacity)
    /// Packets that are being put and that wait for it.
    var puts: [PublicKey: PutLine] = [:]
    /// Look-ups under way that nobody was told about yet.
    var lookups: [Question: Inquiry] = [:]
    var visitors: Visitors
    var counters = RelayCounters()
    /// Who gets the packets of some keys in place of the network.
    public var handOut: HandOut?
    /// Adds figures of others to the relay's own.
    public var moreMetrics: ((inout Metrics) -> Void)?
    /// Told once that a proxy has forwarded a request which nobody has told us to trust.
    public var onUnknownProxy: ((IPAddress) -> Void)?
    /// Microseconds since 1970.
    let wallClock: () -> UInt64
    private let clock: () -> Instant

    /// - Parameters:
    ///   - isFirstOfNetwork: Whether `network` was given no bootstrap nodes.
    ///   - archive: Where packets are kept beyond the memory for them and the life of the process.
    public init(
        network: any PacketNetwork, isFirstOfNetwork: Bool, visitors: Visitors = Visitors(), archive: (any Archive)? = nil,
        clock: @escaping () -> Instant = { .now }, wallClock: @escaping () -> UInt64 = { WallClock.microseconds }
    ) {
        self.network = network
        self.isFirstOfNetwork = isFirstOfNetwork
        self.visitors = visitors
        cache = PacketCache(capacity: PkarrRelay.cacheCapacity, archive: archive)
        self.clock = clock
        self.wallClock = wallClock
    }

    /// Answers a request. The limits come before anything else, then the length, then what the request says.
    public func answer(_ exchange: HTTPExchange) {
        let origin = CrossOrigin(exchange)
        let method = exchange.method
        exchange.amend = { [weak self] in
            origin.permit(&$0)
            self?.counters.count(method, $0.status)
        }
        if onUnknownProxy != nil, visitors.isUnknownProxy(exchange) {
            onUnknownProxy?(exchange.peer)
            onUnknownProxy = nil
        }
        let client = visitors.client(of: exchange)
        if case .refused(let wait) = visitors.admitRequest(of: client, now: clock()) {
            counters.refusedRequests += 1
            return exchange.refuse(429, "too many requests", retryAfter: wait)
        }
        if exchange.isTooLong { return exchange.refuse(413, "a packet has at most 1072 bytes") }
        switch (method, exchange.path) {
        case ("OPTIONS", _): exchange.answer(origin.preflightAnswer)
        case ("GET", "/healthz"), ("HEAD", "/healthz"): tellHealth(exchange)
        case ("GET", "/metrics"), ("HEAD", "/metrics"): tellMetrics(exchange, to: client)
        case ("GET", _), ("HEAD", _): withKey(exchange) { get(exchange, $0, from: client) }
        case ("PUT", _): withKey(exchange) { put(exchange, $0, from: client) }
        default: exchange.answer(HTTPAnswer(status: 405, headers: [("Allow", "GET, HEAD, OPTIONS, PUT")]))
        }
    }

    /// Whether the client may have the DHT asked; if not, it is told so.
    func mayLookUp(_ exchange: HTTPExchange, _ client: IPAddress) -> Bool {
        guard case .refused(let wait) = visitors.admitLookup(of: client, now: clock()) else { return true }
        counters.refusedLookups += 1
        exchange.refuse(429, "Too many requests to DHT nodes", retryAfter: wait)
        return false
    }

    private func withKey(_ exchange: HTTPExchange, _ body: (PublicKey) -> Void) {
        if let key = names.value(for: exchange.path) { return body(key) }
        guard exchange.path.hasPrefix("/"), let key = PublicKey(zBase32: exchange.path.dropFirst()) else {
            return exchange.refuse(400, "the path has to be a public key in z-base-32")
        }
        names.set(key, for: exchange.path)
        body(key)
    }

    private func tellHealth(_ exchange: HTTPExchange) {
        if network.isJoined || isFirstOfNetwork {
            exchange.answer(HTTPAnswer(status: 200, headers: [("Content-Type", "text/plain; charset=utf-8")], body: Array("ok\n".utf8)))
        } else {
            exchange.refuse(503, "no DHT node is known")
        }
    }

    private func tellMetrics(_ exchange: HTTPExchange, to client: IPAddress) {
        guard visitors.isExempt(client) else { return exchange.refuse(403, "the metrics are for the operator's addresses") }
        var metrics = Metrics(prefix: "pkarr_serve")
        counters.write(to: &metrics)
        metrics.add("cached_packets", .gauge, "Packets in the relay's cache in memory.", cache.count)
        metrics.add("puts_under_way", .gauge, "Packets that are being put.", puts.count)
        metrics.add("limited_addresses", .gauge, "Addresses that the limits remember.", visitors.requests.count + visitors.lookups.count)
        moreMetrics?(&metrics)
        exchange.answer(HTTPAnswer(status: 200, headers: [("Content-Type", Metrics.contentType)], body: Array(metrics.text.utf8)))
    }
}

extension HTTPExchange {
    /// Answers with a line of text for a person.
    func refuse(_ status: Int, _ reason: String, headers: [(name: String, value: String)] = []) {
        answer(HTTPAnswer(status: status, headers: [("Content-Type", "text/plain; charset=utf-8")] + headers, body: Array((reason + "\n").utf8)))
    }

    fileprivate func refuse(_ status: Int, _ reason: String, retryAfter wait: Duration) {
        // Whole seconds (RFC 9110, 10.2.3), and rather later than refused again.
        refuse(status, reason, headers: [("Retry-After", String((wait.millisecondsRoundedUp + 999) / 1000))])
    }
}
