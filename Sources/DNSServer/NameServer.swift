import Crypto
import Pkarr
import Platform
import RateLimits

/// A DNS server for the zones of keys, without sockets and clocks: queries and the outcomes of look-ups come in, answers and wishes go out.
///
/// A name `<name>.<key>`, or the same before a suffix, is answered from the key's packet. Anything else is refused, or forwarded for those
/// who may have that.
public struct NameServer {
    /// What it is to do.
    public struct Configuration: Sendable {
        /// Behind a key, these stand for the root.
        public var suffixes: [DomainName] = [DomainName(labels: [Array("key".utf8)])!]
        /// Whose other questions are forwarded; nobody's when there is no one to forward to.
        public var forwardsFor: [AddressRange] = []
        /// Questions of one address; pkdns's own figure.
        public var questions = Quota(100, each: .second, burst: 200)
        /// Look-ups that one address causes; pkdns's own figure.
        public var lookUps = Quota(5, each: .second, burst: 25)
        /// Addresses without quotas.
        public var exempt: [AddressRange] = []

        public init() {}
    }

    /// Where a query came from, and where its answer goes.
    public struct Origin: Hashable, Sendable {
        public var transport: Transport
        public var address: SocketAddress
        /// Means something to the sockets only.
        public var channel: Int
        /// The address that it was sent to, if that has to be the answer's source.
        public var local: IPAddress?

        public init(transport: Transport, address: SocketAddress, channel: Int, local: IPAddress? = nil) {
            self.transport = transport
            self.address = address
            self.channel = channel
            self.local = local
        }
    }

    public enum Output: Equatable {
        case send([UInt8], to: Origin)
        /// Answer with ``finishLookUp(_:_:at:)``. A packet that is not older than this one will do.
        case lookUp(PublicKey, notOlderThan: SignedPacket?)
        /// Answer with ``finishForward(_:_:at:)``.
        case forward(ForwardedQuery, id: Int, over: Transport)
    }

    /// Most queries that wait for the network: some seconds' worth of what all quotas together would let through, in a few MB.
    static let mostWaiting = 4096
    /// Most queries that wait for those whom they were forwarded to; each has a socket.
    static let mostForwarded = 512
    /// Most look-ups at once, fewer than the node's own limit, so that there is room for others.
    static let mostLookUps = 128

    let configuration: Configuration
    var keyNames: KeyNames
    /// What is known of a key without asking anybody.
    let cached: (PublicKey) -> SeenPacket?
    var zones = ZoneCache()
    var questionLimiter: AddressLimiter
    var lookUpLimiter: AddressLimiter
    var lookUps: [PublicKey: LookUp] = [:]
    var waiting = 0
    var missing = MissingKeys()
    var forwarded: [Int: Resolution] = [:]
    var nextForward = 0
    var outputs: [Output] = []
    public internal(set) var counters = Counters()

    public init(_ configuration: Configuration, cached: @escaping (PublicKey) -> SeenPacket?) {
        self.configuration = configuration
        self.cached = cached
        keyNames = KeyNames(suffixes: configuration.suffixes)
        questionLimiter = AddressLimiter(configuration.questions, exempt: configuration.exempt)
        lookUpLimiter = AddressLimiter(configuration.lookUps, exempt: configuration.exempt)
    }

    /// What there is to do since the last call.
    public mutating func takeOutputs() -> [Output] {
        defer { outputs = [] }
        return outputs
    }

    /// Takes the bytes of a client. Nothing larger than its transport allows is ever sent for them.
    ///
    /// - Returns: Whether there will be an answer, exactly one, at once or later.
    public mutating func receive(_ message: [UInt8], from origin: Origin, at moment: Moment) -> Bool {
        counters.received[origin.transport, default: 0] += 1
        let reading = DNSQuery.read(message)
        if case .ignored = reading {
            counters.ignored += 1
            return false
        }
        let isAdmitted = questionLimiter.admit(origin.address.ip, now: moment.instant) == .admitted
        if !isAdmitted { counters.limited += 1 }
        switch reading {
        case .query(let query) where isAdmitted: begin(query, from: origin, at: moment)
        case .query(let query): send(DNSResponse(to: query, .refused, ExtendedError(code: .prohibited, text: "too many questions")), to: origin)
        case .unreadable(let answer, let code) where isAdmitted:
            counters.answered[code, default: 0] += 1
            outputs.append(.send(answer, to: origin))
        case .unreadable, .ignored: return false
        }
        return true
    }

    /// Refuses what is asked for in vain by everybody alike, and resolves the rest.
    private mutating func begin(_ query: DNSQuery, from origin: Origin, at moment: Moment) {
        if let edns = query.edns, edns.version != 0 {
            return send(DNSResponse(to: query, .badVersion), to: origin)
        }
        guard query.classField == ResourceRecord.internetClass else {
            return send(DNSResponse(to: query, .refused, ExtendedError(code: .notSupported, text: "no such class here")), to: origin)
        }
        // Among them are transfers of whole zones.
        guard !query.type.isMeta || query.type == .any else {
            return send(DNSResponse(to: query, .notImplemented, ExtendedError(code: .notSupported)), to: origin)
        }
        proceed(Resolution(query, from: origin), at: moment)
    }

    mutating func send(_ response: DNSResponse, to origin: Origin) {
        counters.answered[response.code, default: 0] += 1
        outputs.append(.send(response.wire(for: origin.transport), to: origin))
    }
}

extension NameServer {
    /// What has happened since the start, for those who watch the server.
    public struct Counters: Equatable, Sendable {
        /// Messages of clients.
        public var received: [Transport: UInt64] = [:]
        /// Answers by their code.
        public var answered: [ResponseCode: UInt64] = [:]
        /// Messages that deserve no answer.
        public var ignored: UInt64 = 0
        /// Questions above a quota.
        public var limited: UInt64 = 0
        /// Look-ups of keys on the network.
        public var lookUps: UInt64 = 0
        /// Answers from a packet that may be out of date.
        public var stale: UInt64 = 0
        /// Questions forwarded.
        public var forwarded: UInt64 = 0
        /// Those that nobody answered.
        public var unanswered: UInt64 = 0
    }
}
