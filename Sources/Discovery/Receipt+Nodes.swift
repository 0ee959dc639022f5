import Crypto
import JSON
import Mainline
import Pkarr
import Platform

extension Receipt {
    /// What a node or relay had of the key before.
    public struct Item: Equatable, Sendable {
        /// Microseconds since 1970.
        public var timestamp: UInt64
        /// Bytes of the DNS message; nil when only the timestamp is known, which then nothing proves.
        public var size: Int?
        /// SHA-256 of the DNS message in hexadecimal, see ``Pkarr/SignedPacket/messageHash``.
        public var hash: String?

        init(timestamp: UInt64) { self.timestamp = timestamp }

        init(timestamp: UInt64, message: [UInt8]) {
            self.timestamp = timestamp
            size = message.count
            hash = hexadecimal(sha256(message))
        }

        public init(_ packet: SignedPacket) { self.init(timestamp: packet.timestamp, message: packet.message) }
    }

    /// A DHT node in a publication: what it had, and what it did.
    public struct Node: Sendable {
        public enum Prior: Equatable, Sendable {
            case nothing
            case item(Item)
            /// It gave no valid answer to that.
            case unknown
        }

        public var node: Contact
        public var had: Prior
        /// Nil for a node that was not asked to store the packet, because something else had been found.
        public var result: PutOutcome.Result?
        /// Of the put, or of the look-up where there was no put.
        public var roundTrip: Duration?

        /// `stored`, `refused`, `silent` or `not-asked`, as it stands in receipts.
        public var word: String {
            switch result {
            case .stored: "stored"
            case .refused: "refused"
            case .timedOut: "silent"
            case nil: "not-asked"
            }
        }
    }

    /// The nodes that were to store the packet, closest first; where nothing was stored because of something else, those that have an item.
    public var nodes: [Node] { dht?.receiptNodes ?? [] }
}

extension PutOutcome {
    fileprivate var receiptNodes: [Receipt.Node] {
        // Most nodes have the same item: what is known of it is worked out once, and comparing is cheaper than hashing.
        var last: (item: MutableItem, shown: Receipt.Item)?
        func prior(_ finding: LookupOutcome.Finding?) -> Receipt.Node.Prior {
            switch finding {
            case .holding(.nothing): return .nothing
            case .holding(.notNewer(let sequence)): return .item(Receipt.Item(timestamp: UInt64(bitPattern: sequence)))
            case .holding(.item(let item)):
                if let last, last.item == item { return .item(last.shown) }
                let shown = Receipt.Item(timestamp: UInt64(bitPattern: item.sequence), message: item.value ?? item.encodedValue)
                last = (item, shown)
                return .item(shown)
            case .holding(.flawed), .refused, .timedOut, .notAwaited, nil: return .unknown
            }
        }
        guard nodes.isEmpty else {
            let findings = Dictionary(lookup.nodes.map { ($0.address, $0.finding) }) { _, last in last }
            return nodes.map { put in
                Receipt.Node(node: put.node, had: prior(findings[put.node.address]), result: put.result, roundTrip: put.roundTrip)
            }
        }
        return lookup.nodes.compactMap { node in
            guard let id = node.id, case .item(let item) = prior(node.finding) else { return nil }
            return Receipt.Node(node: Contact(id: id, address: node.address), had: .item(item), roundTrip: node.roundTrip)
        }
    }
}

extension Receipt.Item {
    var json: JSONObject {
        var members: [(name: String, value: JSONValue)] = [("timestamp", .integer(Int64(clamping: timestamp)))]
        if let size { members.append(("size", .integer(Int64(size)))) }
        if let hash { members.append(("hash", .string(hash))) }
        return JSONObject(members: members)
    }
}

extension Receipt.Node {
    /// With about twenty of them a receipt, they are made without a search for members.
    var json: JSONObject {
        var members: [(name: String, value: JSONValue)] = [
            ("address", .string("\(node.address)")), ("node_id", .string("\(node.id)")), ("outcome", .string(word)),
        ]
        if case .refused(let error) = result {
            members.append(("code", .integer(error.code)))
            members.append(("message", .string(error.text)))
        }
        if let roundTrip { members.append(("round_trip_ms", .milliseconds(roundTrip))) }
        switch had {
        case .nothing: members.append(("had", .null))
        case .item(let item): members.append(("had", .object(item.json)))
        case .unknown: break
        }
        return JSONObject(members: members)
    }
}
