import Mainline
import Pkarr

/// What is wrong with how a key is published. The first of several is the gravest.
public enum AuditProblem: Equatable, Sendable {
    /// Nobody gave a usable answer, and why.
    case unanswered([String])
    /// Somebody answered, and nobody has a packet.
    case notFound
    /// All that is shown is older than what has been seen before, which had this timestamp.
    case rolledBack(to: UInt64)
    /// The newest item under the key is no packet.
    case noPacket(sequence: UInt64)
    /// Records that their readers can't use, and why.
    case unusableRecords([String])
    /// The message has more bytes than most nodes store.
    case oversize(Int)
    /// The timestamp is ahead of the clock by so many microseconds.
    case inFuture(UInt64)
    /// Two packets have been signed with one timestamp; so many sources have the one that loses.
    case sameTimestamp(Int)
    /// The DHT gave no answer, and why.
    case dhtSilent(String)
    /// Relays have the packet, and no node has it.
    case notInDHT
    /// Nodes where the packet belongs hold an older one, so many of them.
    case outdatedNodes(Int)
    /// Too few nodes hold the packet, though there are others.
    case thin(Int)
    /// Relays that do not serve the newest packet, and which of them would find it in their DHT.
    case laggingRelays([RelayURL], wouldFind: Int)

    /// As it stands in objects.
    public var word: String {
        switch self {
        case .unanswered: "unanswered"
        case .notFound: "not-found"
        case .rolledBack: "rolled-back"
        case .noPacket: "not-a-packet"
        case .unusableRecords: "unusable-records"
        case .oversize: "oversize"
        case .inFuture: "in-future"
        case .sameTimestamp: "same-timestamp"
        case .dhtSilent: "dht-silent"
        case .notInDHT: "not-in-dht"
        case .outdatedNodes: "outdated-nodes"
        case .thin: "thin"
        case .laggingRelays: "lagging-relays"
        }
    }

    /// One sentence for a person: what it means.
    public var explanation: String {
        switch self {
        case .unanswered(let reasons): "Nobody gave a usable answer (\(reasons.joined(separator: "; ")))."
        case .notFound: "Nobody who answered has a packet of this key."
        case .rolledBack(let floor):
            "All that is shown is older than the packet that this machine has seen before, with timestamp \(floor)."
        case .noPacket: "The newest item that the key has signed is no packet, so pkarr clients find nothing."
        case .unusableRecords(let warnings): "Records in the packet can't be used: \(warnings.joined(separator: "; "))."
        case .oversize(let size):
            "The packet's DNS message has \(size) bytes, and most nodes of the public DHT store at most "
                + "\(SignedPacket.storedEverywhereMessageSize)."
        case .inFuture(let ahead): "The packet is signed with a time \(spelled(microseconds: ahead)) ahead of this machine's clock."
        case .sameTimestamp(let sources):
            "Two packets have been signed with the same timestamp, and \(counted(sources, "source has", "sources have")) the one that loses."
        case .dhtSilent(let reason): "The DHT gave no answer (\(reason)), so what it holds is not known."
        case .notInDHT: "No node of the DHT has the packet, only relays have."
        case .outdatedNodes(let nodes):
            "\(counted(nodes, "node", "nodes")) among the closest still \(nodes == 1 ? "holds" : "hold") an older packet, which readers in a "
                + "hurry may take."
        case .thin(let holders):
            "Only \(counted(holders, "node holds", "nodes hold")) the packet, and \(AuditReport.wellStored) are regarded as well stored."
        case .laggingRelays(let urls, _):
            "\(urls.map(\.description).joined(separator: ", ")) \(urls.count == 1 ? "does" : "do") not serve the newest packet."
        }
    }

    /// One sentence for a person: what to do.
    public var advice: String {
        switch self {
        case .unanswered: "Check this machine's network: UDP to the world for the DHT, HTTPS for relays; behind a login page nothing answers."
        case .notFound: "Check that the key is the right one, then publish: pkarr-build | pkarr-publish."
        case .rolledBack: "Publish the later packet again, or build a new one on it; somebody may be replaying an old one."
        case .noPacket: "Find out which program stores under this key, then publish a packet with a later timestamp."
        case .unusableRecords: "Correct what the records are made from and publish again."
        case .oversize: "Publish fewer or shorter records; pkarr-build says what each of them costs."
        case .inFuture: "Set the clock of the machine that signs, or of this one; until that time only a still later timestamp replaces the packet."
        case .sameTimestamp: "Let one program alone sign with this key, and publish a later packet."
        case .dhtSilent: "Let UDP pass to the world, or give another --bootstrap node, and audit again."
        case .notInDHT: "Publish from a machine that reaches the DHT, or ask the relays' operators why their nodes do not."
        case .outdatedNodes: "Put the newest packet again: pkarr-resolve KEY | pkarr-publish; if the old one comes back, another program puts it."
        case .thin: "Put the packet again, and keep it there: pkarr-publish --refresh 5m."
        case .laggingRelays(let urls, let wouldFind):
            wouldFind == urls.count
                ? "Their caches are behind their DHT and catch up by themselves, mostly within 5 minutes."
                : "Put the packet there too: pkarr-resolve KEY | pkarr-publish --relay URL; if that does not help, ask the relay's operator."
        }
    }
}

extension AuditReport {
    /// All that is wrong, the gravest first; empty when the key is published as it should be.
    public var problems: [AuditProblem] {
        guard sources.contains(where: { outcome(of: $0).isAnswer }) else { return [.unanswered(reasons)] }
        var problems: [AuditProblem] = []
        if let invalidSequence, invalidSequence > newest?.timestamp ?? 0 { problems.append(.noPacket(sequence: invalidSequence)) }
        guard let newest else {
            if problems.isEmpty { problems.append(.notFound) }
            return problems + silence
        }
        if let floor, floor > newest.timestamp { problems.insert(.rolledBack(to: floor), at: 0) }
        let warnings = recordWarnings
        if !warnings.isEmpty { problems.append(.unusableRecords(warnings)) }
        if newest.size > SignedPacket.storedEverywhereMessageSize, !nodes.isEmpty, !isWellStored { problems.append(.oversize(newest.size)) }
        if let aheadBy { problems.append(.inFuture(aheadBy)) }
        let different = count(sources, .different)
        if different > 0 { problems.append(.sameTimestamp(different)) }
        problems += silence + storage
        if !laggingRelays.isEmpty {
            let wouldFind = relays.count { outcome(of: $0) != .newest && $0.network.map { outcome(of: $0) } == .newest }
            problems.append(.laggingRelays(laggingRelays, wouldFind: wouldFind))
        }
        return problems
    }

    private var silence: [AuditProblem] {
        guard let lookup, !nodes.contains(where: { outcome(of: $0).isAnswer }) else { return [] }
        return [.dhtSilent(lookup.problem ?? "no node gave a usable answer")]
    }

    /// How the DHT holds the packet.
    private var storage: [AuditProblem] {
        let answering = nodes.filter { outcome(of: $0).isAnswer }
        guard !answering.isEmpty else { return [] }
        guard holders > 0 else { return [.notInDHT] }
        let closest = nodes.filter(\.isClosest)
        var problems: [AuditProblem] = []
        let outdated = count(closest, .older)
        if outdated > 0 { problems.append(.outdatedNodes(outdated)) }
        // In a network of fewer nodes all of them are enough.
        let isSmall = nodes.count < Self.wellStored * 2 && closest.allSatisfy { outcome(of: $0) == .newest }
        if !isWellStored, !isSmall { problems.append(.thin(holders)) }
        return problems
    }

    /// Why nobody gave a usable answer, the same reason once.
    private var reasons: [String] {
        var reasons: [String] = []
        if let lookup { reasons.append("the DHT: \(lookup.problem ?? "no node gave a usable answer")") }
        for relay in relays {
            guard case .relay(let url) = relay.place else { continue }
            reasons.append("\(url): \(relay.answer.problem ?? outcome(of: relay).rawValue)")
        }
        return reasons
    }
}

extension AuditedSource.Answer {
    /// Why it is no usable answer, in words; nil when it is one, or when there are no words.
    public var problem: String? {
        switch finding {
        case .invalid(let reason), .rateLimited(let reason), .failed(let reason), .unreachable(let reason), .refused(_, let reason):
            redirectedTo.map { "\(reason), and it was \($0) that answered" } ?? reason
        case .packet, .noPacket, .nothing, .silent, .late: nil
        }
    }
}
