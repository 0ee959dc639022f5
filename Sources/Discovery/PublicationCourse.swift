import Mainline
import Pkarr

/// The course of a publication that replaces nothing its author has not seen (keyhole-merging(7)): look, put, read back. What is done
/// next follows from what has come; doing it is ``Publisher``'s.
struct PublicationCourse {
    enum Step: Equatable {
        /// Put on the DHT, which looks first.
        case putOnDHT
        case readDHT
        /// Ask all relays what they have.
        case askRelays
        case putToRelays
        /// Ask them again.
        case readRelays
        case end
    }

    let packet: SignedPacket
    private(set) var basis: PublicationBasis
    /// Whether an item that is no packet was in the way, which nobody can merge.
    private var isToBePutAgain = false
    /// Whether anything later is there, packet or not.
    private var isOvertaken = false
    private let hasRelays: Bool
    /// Whether the DHT stands for what is published; if not, the relays do.
    private var isDHTUsed: Bool
    private(set) var step: Step
    /// Packets that have not been merged into this one.
    private(set) var unmerged: [SignedPacket] = []
    /// Nodes or relays that had the packet when it was read back; nil until somebody has answered.
    private(set) var holders: Int?

    init(_ packet: SignedPacket, onto basis: PublicationBasis, usesDHT: Bool, hasRelays: Bool) {
        self.packet = packet
        self.basis = basis
        self.hasRelays = hasRelays
        isDHTUsed = usesDHT
        step = usesDHT ? .putOnDHT : .askRelays
    }

    /// Whether the packet was found again, and nothing beside it that was not merged.
    var isConfirmed: Bool { holders ?? 0 > 0 && unmerged.isEmpty && !isOvertaken }

    /// Somebody has answered the question what there is.
    mutating func noteAnswer() { if step == .readDHT || step == .readRelays { holders = holders ?? 0 } }

    /// Somebody has this packet.
    mutating func note(_ other: SignedPacket) {
        if other == packet {
            if step == .readDHT || step == .readRelays { holders = (holders ?? 0) + 1 }
        } else if !basis.takesIntoAccount(other), !unmerged.contains(other) {
            unmerged.append(other)
        }
    }

    /// The put has ended.
    mutating func note(_ outcome: PutOutcome) {
        for item in outcome.unmerged {
            if let other = try? SignedPacket(item) {
                note(other)
            } else {
                // Nobody can merge what is no packet, so an older one is replaced.
                isToBePutAgain = basis.known.insert(UInt64(item.sequence)).inserted && outcome.newer == nil
            }
        }
        isOvertaken = outcome.newer != nil
        // Where nobody stores it, for it is too large or nobody answers, it is for the relays to keep. A node that has something else
        // has to be heard first.
        if outcome.stored == 0, outcome.conflicts.isEmpty, !isToBePutAgain { isDHTUsed = false }
    }

    /// The step has been done and all that it has brought been noted: what is next?
    mutating func proceed() {
        guard unmerged.isEmpty, !isOvertaken else { return step = .end }
        switch step {
        case .putOnDHT where isToBePutAgain: isToBePutAgain = false
        case .putOnDHT: step = isDHTUsed ? .readDHT : hasRelays ? .askRelays : .end
        case .readDHT, .askRelays: step = hasRelays ? .putToRelays : .end
        case .putToRelays: step = isDHTUsed ? .end : .readRelays
        case .readRelays, .end: step = .end
        }
    }
}
