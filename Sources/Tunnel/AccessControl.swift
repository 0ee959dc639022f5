import Crypto
import Platform
import RateLimits

/// Decides which streams a bridge serves, and to what, by an access list and by what each key has used. Without I/O and clocks.
public struct AccessControl {
    /// A target, and the application protocol that it is for; nil for all others.
    public struct Route: Hashable, Sendable {
        public var alpn: String?
        public var target: HostAndPort

        public init(_ target: HostAndPort, for alpn: String? = nil) {
            self.alpn = alpn
            self.target = target
        }

        /// Reads `HOST:PORT` or `ALPN=HOST:PORT`.
        public init?(_ text: some StringProtocol) {
            let equals = text.lastIndex(of: "=")
            guard let target = HostAndPort(equals.map { text[text.index(after: $0)...] } ?? text[...]), target.port != 0 else { return nil }
            alpn = equals.map { String(text[..<$0]) }
            guard alpn.map({ (1...255).contains($0.utf8.count) }) ?? true else { return nil }
            self.target = target
        }
    }

    /// How streams are served whose application protocol has no target of its own, where they speak HTTP.
    public struct HTTP: Equatable, Sendable {
        /// Streams at once that a key may have whose line does not say: more than any browser opens.
        public static let streams = 256
        /// Where streams go that begin with TLS.
        public var tlsTarget: HostAndPort?

        public init(tlsTarget: HostAndPort? = nil) { self.tlsTarget = tlsTarget }
    }

    /// What a stream is given.
    public enum Service: Equatable, Sendable {
        /// Its bytes go there as they are.
        case transparent(HostAndPort)
        /// Its requests go to one target, through a gate, or its bytes as they are to the other if they begin with TLS. Not both are denied.
        case http(Result<HostAndPort, Denial>, tls: Result<HostAndPort, Denial>?)
    }

    public enum Verdict: Equatable, Sendable {
        /// `allowance` is how many bytes the stream may carry, `isCounted` whether its end has to be told with ``ended(_:bytes:now:)``.
        case allowed(Service, allowance: Int64?, isCounted: Bool)
        case denied(Denial)
    }

    /// Why a stream is refused.
    public enum Denial: Error, Hashable, CustomStringConvertible {
        case unknown
        case expired
        case noTarget
        case port(HostAndPort)
        case privatePort(HostAndPort, String)
        case streams(Int)
        case rate(Quota)
        case bytes(Int64)

        /// For counting.
        var word: String {
            switch self {
            case .unknown: "unknown-key"
            case .expired: "expired"
            case .noTarget: "no-target"
            case .port, .privatePort: "port"
            case .streams: "streams"
            case .rate: "rate"
            case .bytes: "bytes"
            }
        }

        public var description: String {
            switch self {
            case .unknown: "access denied"
            case .expired: "access has expired"
            case .noTarget: "there is no target for this protocol"
            case .port(let target): "\(target) is not permitted"
            case .privatePort(let target, let what): "\(target) is the homeserver's \(what) port, which has to be permitted by name"
            case .streams(let most): "\(most) streams at once are permitted"
            case .rate(let quota): "new streams come faster than \(quota)"
            case .bytes(let most): "the \(most) bytes of a day are used up"
            }
        }
    }

    /// Ports of a Pubky homeserver that are not for its users (spec/pkarr-wire.md, section 8).
    public static let privatePorts: [UInt16: String] = [6288: "admin", 6289: "metrics"]
    /// Keys whose use is remembered. A list names few, and whoever `*` admits makes a new key for nothing: then each has its limits anew.
    private static let mostKeys = 16384

    private struct Use: Sendable {
        var streams = 0
        var bucket: TokenBucket?
        var bytes: Int64 = 0
        /// When the day began that the bytes are of.
        var since: Instant
    }

    public var routes: [Route]
    /// Nil passes all streams on as they are.
    public var http: HTTP?
    /// Nil lets anybody do anything.
    public var list: AccessList?
    /// Those without a key count as one.
    private var uses = RecentlyUsed<PublicKey?, Use>(capacity: AccessControl.mostKeys)

    public init(routes: [Route], http: HTTP? = nil, list: AccessList?) {
        self.routes = routes
        self.http = http
        self.list = list
    }

    /// Whether a stream is served; if so, it counts.
    ///
    /// - Parameter time: Seconds since 1970.
    public mutating func admit(_ peer: PublicKey?, alpn: String?, now: Instant, time: UInt64) -> Verdict {
        guard let rule = list.map({ list in peer.flatMap(list.rule(for:)) }) ?? AccessRule() else { return .denied(.unknown) }
        if let expiry = rule.expiry, expiry <= time { return .denied(.expired) }
        let service: Service
        switch self.service(for: alpn, rule) {
        case .success(let found): service = found
        case .failure(let denial): return .denied(denial)
        }
        var most = rule.streams
        if case .http = service { most = most ?? HTTP.streams }
        guard most != nil || rule.rate != nil || rule.bytes != nil else { return .allowed(service, allowance: nil, isCounted: false) }
        var use = uses.value(for: peer) ?? Use(since: now)
        if now - use.since >= AccessRule.day { (use.bytes, use.since) = (0, now) }
        if let most, use.streams >= most { return .denied(.streams(most)) }
        if let most = rule.bytes, use.bytes >= most { return .denied(.bytes(most)) }
        if let rate = rule.rate {
            if use.bucket?.quota != rate { use.bucket = TokenBucket(rate) }
            guard use.bucket?.take(now: now) == true else { return .denied(.rate(rate)) }
        }
        let isCounted = most != nil || rule.bytes != nil
        if isCounted { use.streams += 1 }
        uses.set(use, for: peer)
        return .allowed(service, allowance: rule.bytes.map { $0 - use.bytes }, isCounted: isCounted)
    }

    /// A counted stream has ended, or nothing came of it.
    public mutating func ended(_ peer: PublicKey?, bytes: Int64) {
        guard var use = uses.value(for: peer) else { return }
        use.streams = max(0, use.streams - 1)
        use.bytes = use.bytes.addingReportingOverflow(max(0, bytes)).partialValue
        uses.set(use, for: peer)
    }

    private func service(for alpn: String?, _ rule: AccessRule) -> Result<Service, Denial> {
        if let own = routes.first(where: { $0.alpn != nil && $0.alpn == alpn }) { return permission(own.target, rule).map(Service.transparent) }
        guard let target = routes.first(where: { $0.alpn == nil })?.target ?? (routes.isEmpty ? rule.targets.first : nil) else { return .failure(.noTarget) }
        let permission = permission(target, rule)
        guard let http else { return permission.map(Service.transparent) }
        let tls = http.tlsTarget.map { self.permission($0, rule) }
        if case .failure(let denial) = permission, (try? tls?.get()) == nil { return .failure(denial) }
        return .success(.http(permission, tls: tls))
    }

    private func permission(_ target: HostAndPort, _ rule: AccessRule) -> Result<HostAndPort, Denial> {
        if !rule.targets.isEmpty { return rule.targets.contains(target) ? .success(target) : .failure(.port(target)) }
        return Self.privatePorts[target.port].map { .failure(.privatePort(target, $0)) } ?? .success(target)
    }
}
