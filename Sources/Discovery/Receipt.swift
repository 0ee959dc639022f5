import Crypto
import JSON
import Mainline
import Pkarr
import PublicationState

/// What became of a publication.
public struct Receipt: Sendable {
    /// How a packet fared at one relay.
    public struct Relay: Sendable {
        public var url: RelayURL
        public var publication: RelayClient.Publication

        public init(url: RelayURL, publication: RelayClient.Publication) {
            self.url = url
            self.publication = publication
        }
    }

    public var packet: SignedPacket
    /// How the put went; nil when the DHT was not to be used.
    public var dht: PutOutcome?
    public var relays: [Relay]
    /// The newest more recent packet or item that has been seen, verified. Its timestamp.
    public var newer: UInt64?
    /// Packets that have not been merged into this one, newer or older. See keyhole-merging(7).
    public private(set) var unmerged: [SignedPacket] = []
    /// How many nodes or relays had the packet when it was read back; nil when it was not.
    public private(set) var holders: Int?
    /// Why it was not even tried.
    public var obstacle: StateError?
    /// How often the packet was published until somebody could be reached, or until that was given up.
    public var attempts = 1

    public init(packet: SignedPacket, dht: PutOutcome?, relays: [Relay]) {
        self.packet = packet
        self.dht = dht
        self.relays = relays
        newer = (relays.compactMap { $0.publication.newer?.timestamp } + [dht?.newer.map { UInt64($0.sequence) }].compactMap(\.self)).max()
    }

    /// A packet that was not even sent, because a more recent one of the same key had been given before.
    public init(packet: SignedPacket, overtakenBy other: SignedPacket) {
        self.packet = packet
        relays = []
        newer = other.timestamp
        unmerged = [other]
    }

    /// A packet that was not even sent.
    public init(packet: SignedPacket, obstacle: StateError) {
        self.packet = packet
        relays = []
        self.obstacle = obstacle
    }

    /// What reading back has shown.
    mutating func note(unmerged others: [SignedPacket], holders: Int?) {
        unmerged = others
        self.holders = holders
        newer = ([newer] + others.filter { $0.isMoreRecent(than: packet) }.map(\.timestamp)).compactMap(\.self).max()
    }

    /// Whether the packet was found again, and nothing that had not been merged; nil when it was not read back.
    public var isConfirmed: Bool? { holders.map { $0 > 0 && unmerged.isEmpty && newer == nil } }

    /// Whether any node or relay has the packet.
    public var isStored: Bool { (dht?.stored ?? 0) > 0 || relays.contains { $0.publication.outcome == .stored } }

    /// Whether the packet has lost to another: one has been seen that is more recent or was not merged, or the majority of the nodes that
    /// answered the put say so (spec/pkarr-wire.md, 3.4). Reading back shows what they really have.
    public var isOvertaken: Bool {
        if newer != nil || !unmerged.isEmpty { return true }
        return holders == nil && conflictingNodes * 2 > (dht?.nodes.count { $0.result != .timedOut } ?? 0)
    }

    /// Whether somebody says that there is something else, without a proof.
    public var hasConflicts: Bool { conflictingNodes > 0 || relays.contains { $0.publication.outcome == .conflict } }

    private var conflictingNodes: Int { dht?.conflicts.count ?? 0 }
}

extension Receipt {
    /// The `receipt` object.
    public var json: JSONObject {
        var object = JSONObject(members: [
            ("public_key", .string(packet.publicKey.zBase32)),
            ("timestamp", .integer(Int64(packet.timestamp))),
            ("stored", .bool(isStored)),
            ("newer", newer.map { .integer(Int64(clamping: $0)) } ?? .null),
            ("conflicts", .array(conflicts)),
            ("unmerged", .array(unmerged.map { .object($0.proof) })),
        ])
        object["confirmed"] = isConfirmed.map { .bool($0) } ?? .null
        object["obstacle"] = obstacle.map { .string("\($0)") }
        object["dht"] = dht.map { .object($0.json(nodes)) } ?? .null
        if attempts > 1 { object["attempts"] = .integer(Int64(attempts)) }
        object["relays"] = .array(relays.map { .object($0.json) })
        return object
    }

    private var conflicts: [JSONValue] {
        let nodes = (dht?.conflicts ?? []).map { "\($0.node.address)" }
        let relays = relays.filter { [.overtaken, .conflict].contains($0.publication.outcome) }.map(\.url.description)
        return (nodes + relays).map { .string($0) }
    }
}

extension Receipt.Relay {
    fileprivate var json: JSONObject {
        var object = JSONObject(members: [("url", .string(url.description)), ("outcome", .string(publication.outcome.rawValue))])
        object["status"] = publication.status.map { .integer(Int64($0)) }
        object["nodes"] = publication.nodes.map { .integer(Int64($0)) }
        object["newer"] = publication.newer.map { .integer(Int64($0.timestamp)) }
        object["error"] = publication.error.map { .string($0) }
        object["message"] = publication.message.map { .string($0) }
        object["round_trip_ms"] = publication.roundTrip.flatMap { publication.status == nil ? nil : .milliseconds($0) }
        object["had"] = publication.had.map { .object(Receipt.Item($0).json) }
        return object
    }
}

extension PutOutcome {
    fileprivate func json(_ storing: [Receipt.Node]) -> JSONObject {
        var refused: [JSONValue] = []
        for node in nodes {
            guard case .refused(let error) = node.result else { continue }
            refused.append(.object(JSONObject(members: [
                ("node", .string("\(node.node.address)")), ("code", .integer(error.code)), ("message", .string(error.text)),
            ])))
        }
        return JSONObject(members: [
            ("lookup", .string(lookup.ending.word)),
            ("asked", .integer(Int64(lookup.asked))),
            ("answered", .integer(Int64(lookup.answers.count))),
            ("stored", .array(nodes.filter { $0.result == .stored }.map { .string("\($0.node.address)") })),
            ("refused", .array(refused)),
            ("silent", .integer(Int64(nodes.count { $0.result == .timedOut }))),
            ("nodes", .array(storing.map { .object($0.json) })),
        ])
    }
}

extension LookupOutcome.Ending {
    /// As it stands in receipts.
    var word: String {
        switch self {
        case .complete: "complete"
        case .nobodyToAsk: "nobody-to-ask"
        case .noAnswer: "no-answer"
        case .limited: "limited"
        case .cancelled: "cancelled"
        case .overloaded: "overloaded"
        }
    }

    /// Why there is no answer, for a person; nil when there is one.
    public var problem: String? {
        switch self {
        case .complete, .limited, .cancelled: nil
        case .nobodyToAsk: "no bootstrap node to ask"
        case .noAnswer: "no node answered"
        case .overloaded: "too many look-ups at once"
        }
    }
}

extension SignedPacket {
    /// As much of the `packet` object as is needed to have it again.
    fileprivate var proof: JSONObject {
        JSONObject(members: json.members.filter { ["public_key", "timestamp", "payload"].contains($0.name) })
    }
}
