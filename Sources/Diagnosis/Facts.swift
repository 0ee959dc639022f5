import Paths

/// What a diagnosis knows so far, reduced to what decides the verdict.
public struct Facts: Equatable, Sendable {
    /// How one family of addresses fares over UDP.
    public struct Family: Equatable, Sendable {
        /// This machine has an address of the family that others may use.
        public var hasAddress = false
        /// STUN servers of the family were asked, and their time is over or one has answered.
        public var isAsked = false
        public var isAnswered = false
        public var mapping = AddressMapping.unknown

        public init() {}
    }

    /// How an iroh relay fares.
    public enum Relay: Equatable, Sendable {
        case usable
        /// It turns us away.
        case refused
        case unreachable
    }

    /// How one address or relay of the peer fares.
    public struct Way: Equatable, Sendable {
        public enum Outcome: Equatable, Sendable { case answered, failed, wrongPeer }

        public var isRelay: Bool
        public var outcome: Outcome

        public init(isRelay: Bool, _ outcome: Outcome) {
            self.isRelay = isRelay
            self.outcome = outcome
        }
    }

    public enum Connection: Equatable, Sendable {
        case relayed, direct
        case wrongPeer
        /// No way reached the peer; whether a relay has turned us away.
        case failed(isRefused: Bool)
    }

    /// What is known of the owner of the key.
    public struct Peer: Equatable, Sendable {
        public var hasPacket = false
        /// The packet has `_iroh` records of which some can be used.
        public var hasEndpoint = false
        public var hasBadRecords = false
        public var addresses = 0
        public var relays = 0
        public var ways: [Way] = []
        /// Nil before it is known.
        public var connection: Connection?
        /// Whether the connection began on a relay and is on a direct path now.
        public var isPunched = false
        /// Whether a request was answered; nil if none was sent.
        public var isServed: Bool?

        public init() {}
    }

    public var v4 = Family(), v6 = Family()
    /// The router here opens ports for whoever asks it.
    public var opensPorts = false
    public var relays: [Relay] = []
    /// The DHT and pkarr relays: those that gave a usable answer, those that gave none, and those that were not waited for.
    public var sourcesAnswered = 0, sourcesSilent = 0, sourcesPending = 0
    /// A node of the DHT has answered, which is UDP too.
    public var isDHTAnswered = false
    /// Whether all that was begun has come to its end.
    public var isComplete = false
    /// Nil without a key.
    public var peer: Peer?

    public init() {}

    /// STUN was tried in a family that this machine has, and in none was there an answer, nor anything else over UDP.
    public var isUDPBlocked: Bool {
        if isDHTAnswered || peer?.ways.contains(where: { !$0.isRelay && $0.outcome != .failed }) == true { return false }
        let asked = [v4, v6].filter { $0.isAsked && ($0.hasAddress || $0.isAnswered) }
        return !asked.isEmpty && !asked.contains(where: \.isAnswered)
    }
}
