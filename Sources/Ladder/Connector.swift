import Crypto
import EventLoop
import Glibc
import JSON
import Pkarr
import Platform
import TLS
import Tunnel

/// Finds the way to homeservers: what their packets say is tried rung by rung, see ``Race``.
///
/// It asks for packets by lines and takes them as lines, so that any resolver can stand beside it; QUIC streams it has from whatever
/// `quic-dial` connects to its socket.
public final class Connector: Upstream {
    /// How ways are chosen.
    public struct Settings: Sendable {
        /// Whether only who proves to own the key counts: no domain's certificate stands in for it.
        public var requiresKey = false
        /// Whether addresses of this machine and its networks are dialled though they stand in a stranger's packet.
        public var allowsLocal = false
        /// For everything, from the first question to the last failure.
        public var timeout: Duration = .seconds(30)
        /// PEM, what vouches for domains; nil for what the system trusts.
        public var authorities: [UInt8]?

        public init() {}
    }

    /// What happened, for the log.
    public enum Event {
        case handover(HandoverListener.Event)
        /// A way did not work; others may.
        case failed(KeyedHost, UpstreamAttempt)
        /// - Parameter after: Since the connection was asked for.
        case connected(KeyedHost, UpstreamConnection, after: Duration)
        case unreachable(KeyedHost, LadderError)
    }

    /// Connections being looked for at once; more are refused.
    public static let mostRequests = 1024
    /// How long what worked for a name comes first there.
    static let memory: Duration = .seconds(60)

    struct Route: Hashable {
        var host: KeyedHost
        var service: UpstreamService
    }

    let loop: EventLoop
    let settings: Settings
    let onEvent: (Event) -> Void
    private let want: (JSONValue) -> Void
    private var handover: HandoverListener?
    private var book = PacketBook()
    private var requests: [ObjectIdentifier: LadderRequest] = [:]
    private var winners = RecentlyUsed<Route, (way: Way, until: Instant)>(capacity: PacketBook.capacity)
    private var isResolverGone = false
    private var domainTrust: TLSTrust?
    private var keyTrust: TLSTrust?

    /// - Parameters:
    ///   - socketPath: Where `quic-dial` connects; nil for no tunnels.
    ///   - want: Takes a line `{"public_key":KEY}` for each packet that is wanted, with `"fresh":true` when what a cache has is of no use.
    /// - Throws: ``SystemError`` as ``HandoverListener``.
    public init(
        on loop: EventLoop, socketPath: String?, settings: Settings = Settings(), want: @escaping (JSONValue) -> Void,
        onEvent: @escaping (Event) -> Void = { _ in }
    ) throws(SystemError) {
        self.loop = loop
        self.settings = settings
        self.want = want
        self.onEvent = onEvent
        guard let socketPath else { return }
        handover = try HandoverListener(on: loop, path: socketPath, service: .none) { [weak self] event in
            onEvent(.handover(event))
            if case .connected = event, let self, let dialler = handover?.newest { for request in requests.values { request.ask(dialler) } }
        }
    }

    /// Ends what is under way without a word, and removes the socket file. Connections that were made go on.
    public func close() {
        for request in requests.values { request.cancel() }
        handover?.close()
        handover = nil
    }

    /// Takes a line from the resolver: a `packet` object, or `{"public_key":KEY,"status":68,"error":"…"}` when there is none. Objects
    /// without a key are passed over.
    public func take(_ line: JSONObject) throws(ObjectError) {
        guard line["public_key"] != nil else { return }
        let now = Instant.now
        if line["payload"] != nil {
            book.take(try SignedPacket(json: line), now: now)
        } else {
            guard let key = PublicKey(zBase32: try line.string("public_key")) else { throw ObjectError("public_key", "not a key in z-base-32") }
            let status = LadderError.Status(rawValue: try line.integer("status")) ?? .unreachable
            book.take(LadderError(status, line["error"]?.stringValue.map { String($0.prefix(512)) } ?? "no packet of \(key) is to be had"), of: key, now: now)
        }
        for request in requests.values { request.proceed() }
    }

    /// No more lines will come: what is wanted and not known fails at once.
    public func resolverHasGone() {
        isResolverGone = true
        for request in requests.values { request.proceed() }
    }

    @discardableResult
    public func connect(
        to host: KeyedHost, service: UpstreamService, completion: @escaping (Result<UpstreamConnection, LadderError>) -> Void
    ) -> any UpstreamRequest {
        let request = LadderRequest(Route(host: host, service: service), self, completion)
        requests[ObjectIdentifier(request)] = request
        return request
    }
}

// What requests ask of it.
extension Connector {
    func isOverloaded(for request: LadderRequest) -> Bool { requests.count > Self.mostRequests }

    func forget(_ request: LadderRequest) { requests[ObjectIdentifier(request)] = nil }

    func knowledge(of key: PublicKey, since: Instant, now: Instant) -> Walk.Knowledge { book.knowledge(of: key, since: since, now: now) }

    func problem(of key: PublicKey) -> LadderError? { book.problem(of: key) }

    /// Asks for a packet, if nobody has; false when there is nobody to ask.
    func wants(_ key: PublicKey, isFresh: Bool, now: Instant) -> Bool {
        guard !isResolverGone else { return false }
        if book.wants(key, isFresh: isFresh, now: now) {
            var line = JSONObject(members: [("public_key", .string(key.zBase32))])
            if isFresh { line["fresh"] = true }
            want(.object(line))
        }
        return true
    }

    func winner(of route: Route, now: Instant) -> Way? {
        guard let winner = winners.value(for: route), winner.until > now else { return nil }
        return winner.way
    }

    func remember(_ way: Way, for route: Route, now: Instant) { winners.set((way.origin, now + Self.memory), for: route) }

    var hasTunnels: Bool { handover != nil }

    /// Starts to try a way; nil when it can't be, and `completion` was told why.
    func attempt(_ way: Way, _ service: UpstreamService, completion: @escaping (AttemptOutcome) -> Void) -> (any Attempt)? {
        do throws(TLSError) {
            switch way {
            case .keyed(let place):
                let security = service == .raw ? nil : DirectAttempt.Security(
                    identity: .key(place.key.bytes), name: place.key.zBase32, trust: try trustByKey())
                return DirectAttempt(on: loop, to: place.address, way.path, remote: way.remote, security, completion: completion)
            case .certified(let address, let domain):
                let security = DirectAttempt.Security(identity: .domain(domain.name), name: domain.name, trust: try trustByDomain())
                return DirectAttempt(on: loop, to: address, way.path, remote: way.remote, security, completion: completion)
            case .domain(let domain): return LookUp(domain, Caution(allowsLocal: settings.allowsLocal), on: loop, completion: completion)
            case .tunnel(let endpoint):
                let attempt = TunnelAttempt(on: loop, to: endpoint, inside: service == .tls ? try trustByKey() : nil, completion: completion)
                if let dialler = handover?.newest { attempt.ask(dialler) }
                return attempt
            }
        } catch {
            completion(.failed(reason: "TLS: \(error)"))
            return nil
        }
    }

    private func trustByKey() throws(TLSError) -> TLSTrust {
        if let keyTrust { return keyTrust }
        let made = try TLSTrust.rawKeys()
        keyTrust = made
        return made
    }

    private func trustByDomain() throws(TLSError) -> TLSTrust {
        if let domainTrust { return domainTrust }
        let made = try TLSTrust.certificates(authorities: settings.authorities)
        domainTrust = made
        return made
    }
}
