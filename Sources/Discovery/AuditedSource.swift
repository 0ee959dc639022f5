import Mainline
import Pkarr
import Platform

/// A DHT node or a relay that was asked about a key, and what came of it.
public struct AuditedSource: Equatable, Sendable {
    public enum Place: Equatable, Sendable {
        /// - Parameters:
        ///   - id: Nil for a bootstrap node that has not answered.
        ///   - isClosest: Whether it is one of the closest nodes that answered, where the packet belongs.
        case node(SocketAddress, id: NodeID?, isClosest: Bool)
        case relay(RelayURL)
    }

    /// What came of one question.
    public struct Answer: Equatable, Sendable {
        public var finding: Finding
        /// From the question to the end of its answer; nil without one.
        public var roundTrip: Duration?
        /// Of HTTP.
        public var status: Int?
        /// When a relay last saw the packet in the DHT, in microseconds since 1970.
        public var lastSeen: UInt64?
        /// How long an HTTP cache on the way to a relay has kept the answer, in seconds.
        public var cachedFor: UInt64?
        /// Who answered in a relay's place.
        public var redirectedTo: String?

        public init(_ finding: Finding, roundTrip: Duration? = nil) {
            self.finding = finding
            self.roundTrip = roundTrip
        }
    }

    public enum Finding: Equatable, Sendable {
        case packet(SignedPacket)
        /// The key has signed something that is no packet. A relay tells only the sequence, which nothing proves.
        case noPacket(sequence: UInt64, value: [UInt8]?)
        case nothing
        /// What it gave is none of the key's, and why.
        case invalid(String)
        /// It answered with an error: of KRPC with its code, or of HTTP (4xx).
        case refused(code: Int64?, String)
        case rateLimited(String)
        /// A relay's own trouble.
        case failed(String)
        /// A node did not answer in time.
        case silent
        /// The look-up ended before the node had answered and before its time was up.
        case late
        /// No answer from a relay, and why.
        case unreachable(String)
    }

    public var place: Place
    /// What it gives to any reader.
    public var answer: Answer
    /// What a relay finds when it is told to look in its DHT instead of its cache; nil when it gave no usable answer before.
    public var network: Answer?

    public init(_ place: Place, _ answer: Answer, network: Answer? = nil) {
        self.place = place
        self.answer = answer
        self.network = network
    }

    public var isRelay: Bool { if case .relay = place { true } else { false } }
    public var isClosest: Bool { if case .node(_, _, isClosest: true) = place { true } else { false } }
}

extension AuditedSource.Finding {
    init(_ finding: LookupOutcome.Finding) {
        switch finding {
        case .holding(.item(let item)):
            self = (try? SignedPacket(item)).map { .packet($0) }
                ?? .noPacket(sequence: UInt64(bitPattern: item.sequence), value: item.value ?? item.encodedValue)
        case .holding(.nothing): self = .nothing
        case .holding(.notNewer): self = .invalid("a sequence without the item, which was not asked for so")
        case .holding(.flawed(let flaw)): self = .invalid(flaw.explanation)
        case .refused(let error): self = .refused(code: error.code, error.text)
        case .timedOut: self = .silent
        case .notAwaited: self = .late
        }
    }

    init(_ answer: RelayClient.Answer) {
        switch answer.holding {
        case .packet(let packet): self = .packet(packet)
        case .nothing(let sequence?): self = .noPacket(sequence: sequence, value: nil)
        case .nothing: self = .nothing
        case .unusable(let reason):
            guard let status = answer.status else {
                self = .unreachable(reason)
                return
            }
            switch status {
            case 200, 304: self = .invalid(reason)
            case 429: self = .rateLimited(reason)
            case 400..<500: self = .refused(code: nil, reason)
            default: self = .failed(reason)
            }
        }
    }
}

extension AuditedSource.Answer {
    init(_ answer: RelayClient.Answer) {
        self.init(AuditedSource.Finding(answer), roundTrip: answer.status == nil ? nil : answer.roundTrip)
        status = answer.status
        lastSeen = answer.lastSeen
        cachedFor = answer.cachedFor
        redirectedTo = answer.redirectedTo
    }
}

extension ItemFlaw {
    /// For a person.
    var explanation: String {
        switch self {
        case .incomplete: "an item without key, sequence or signature"
        case .negativeSequence: "an item with a negative sequence"
        case .tooLarge: "an item larger than BEP 44 allows"
        case .wrongKey: "the item of another key"
        case .badSignature: "an item that the key has not signed"
        }
    }
}
