import Crypto

/// How the bytes of a DNS message are spent.
public struct MessageBudget: Hashable, Sendable {
    /// A record and the bytes it adds, names compressed. The first record that uses a name pays for it.
    public struct Entry: Hashable, Sendable {
        public var record: ResourceRecord
        public var size: Int
    }

    public private(set) var entries: [Entry] = []
    /// Bytes of the whole message.
    public private(set) var total: Int

    public init(_ message: DNSMessage) {
        var writer = DNSWriter(answerCount: UInt16(clamping: message.answers.count))
        for record in message.answers {
            let before = writer.bytes.count
            writer.append(record)
            entries.append(Entry(record: record, size: writer.bytes.count - before))
        }
        total = writer.bytes.count
    }

    /// One line for a person: `12 header, 76 @ HTTPS, 29 _iroh TXT`.
    public func description(zone: PublicKey) -> String {
        let records = entries.map { entry in
            let type = entry.record.type
            return ", \(entry.size) \(entry.record.name.ownerText(in: zone)) \(type.name ?? "TYPE\(type.rawValue)")"
        }
        return "\(DNSMessage.headerSize) header" + records.joined()
    }
}
