import Mainline
import Pkarr

/// What a look-up has brought so far, and whether it is enough to give a packet out, see ``Resolver``.
struct Findings {
    /// Sources that have not come to an end.
    private(set) var pending: Int
    private let relays: Int
    private var relaysAnswered = 0
    private var isLookupComplete = false
    /// Nodes that hold the newest packet.
    private var holders: Set<Contact> = []
    /// The last packet given out.
    private var given: SignedPacket?
    private(set) var resolution = Resolution()

    init(relays: Int, asksDHT: Bool) {
        self.relays = relays
        pending = relays + (asksDHT ? 1 : 0)
    }

    /// A node has sent a valid item.
    mutating func note(_ item: MutableItem, from node: Contact) {
        guard let packet = try? SignedPacket(item) else { return note(invalidSequence: UInt64(item.sequence)) }
        note(packet)
        if packet == resolution.packet { holders.insert(node) }
    }

    /// The look-up in the DHT has ended.
    mutating func note(_ outcome: LookupOutcome) {
        pending -= 1
        if !outcome.hasAnswers {
            resolution.failures.append(("the DHT", outcome.ending.problem ?? "no node answered"))
        } else {
            resolution.answered += 1
            isLookupComplete = outcome.ending == .complete
        }
    }

    /// A relay has answered or has been given up.
    mutating func note(_ holding: RelayClient.Holding, from relay: RelayURL) {
        pending -= 1
        switch holding {
        case .packet(let packet): note(packet)
        case .nothing(let sequence): sequence.map { note(invalidSequence: $0) }
        case .unusable(let reason): return resolution.failures.append((relay.description, reason))
        }
        resolution.answered += 1
        relaysAnswered += 1
    }

    /// Takes the packet that may be given out now; nil when there is none, or none more recent than the one before.
    mutating func takePacket() -> SignedPacket? {
        guard let packet = resolution.packet, packet != given, given != nil || isEnough else { return nil }
        given = packet
        return packet
    }

    private var isEnough: Bool {
        holders.count >= Resolver.Confidence.holders || isLookupComplete || pending == 0
            || (relaysAnswered >= Resolver.Confidence.relays && relaysAnswered * 2 > relays)
    }

    private mutating func note(_ packet: SignedPacket) {
        guard resolution.packet.map({ packet.isMoreRecent(than: $0) }) ?? true else { return }
        resolution.packet = packet
        holders = []
    }

    private mutating func note(invalidSequence sequence: UInt64) {
        resolution.invalidSequence = max(sequence, resolution.invalidSequence ?? 0)
    }
}
