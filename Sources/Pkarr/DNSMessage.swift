/// A DNS message (RFC 1035, section 4) as pkarr uses it: all records are answers (spec/pkarr-wire.md, 1.5).
public struct DNSMessage: Hashable, Sendable {
    public var answers: [ResourceRecord]

    public init(answers: [ResourceRecord]) { self.answers = answers }

    /// id, flags and four counts.
    public static let headerSize = 12
    /// Only the response bit is set, not the authoritative one.
    static let flags: UInt16 = 0x8000
    /// The one header bit that has to be zero and is looked at.
    static let reservedBit: UInt16 = 0x0040
}

/// Why bytes are no DNS message. Offsets count bytes from the start of the message.
public enum DNSMessageError: Error, Equatable, CustomStringConvertible {
    /// It ends in the middle of something.
    case truncated(offset: Int)
    /// The reserved bit of the header is set.
    case reservedBit
    /// A label has an unknown kind, a name is over 255 bytes, or a pointer does not go backwards.
    case badName(offset: Int)
    /// A class that pkarr's reader does not know.
    case unknownClass(UInt16, offset: Int)
    /// The data does not fit its type.
    case badRDATA(RecordType, offset: Int)

    public var description: String {
        switch self {
        case .truncated(let offset): "the DNS message ends too early, at byte \(offset)"
        case .reservedBit: "a reserved bit of the DNS header is set"
        case .badName(let offset): "malformed name at byte \(offset) of the DNS message"
        case .unknownClass(let value, let offset): "unknown class \(value) at byte \(offset) of the DNS message"
        case .badRDATA(let type, let offset):
            "malformed \(type.name ?? "type \(type.rawValue)") data at byte \(offset) of the DNS message"
        }
    }
}

extension DNSMessage {
    /// Reads a message. What pkarr's reader accepts is accepted: any id and flags but the reserved bit, records in the other sections
    /// (they are checked and dropped, as nobody looks at them), bytes after the last record.
    public init(wire: [UInt8]) throws(DNSMessageError) {
        var reader = DNSReader(wire)
        _ = try reader.integer(UInt16.self)
        if try reader.integer(UInt16.self) & Self.reservedBit != 0 { throw .reservedBit }
        let questions = try reader.integer(UInt16.self)
        let answers = try reader.integer(UInt16.self)
        let others = Int(try reader.integer(UInt16.self)) + Int(try reader.integer(UInt16.self))
        for _ in 0..<questions {
            _ = try reader.name()
            _ = try reader.integer(UInt32.self)
        }
        self.answers = []
        for _ in 0..<answers { self.answers.append(try reader.record()) }
        for _ in 0..<others { _ = try reader.record() }
    }

    /// The message on the wire, names compressed as real peers do it.
    public var wire: [UInt8] {
        var writer = DNSWriter(answerCount: UInt16(clamping: answers.count))
        for answer in answers { writer.append(answer) }
        return writer.bytes
    }
}
