import Pkarr

/// A question of a client (RFC 1035, section 4.1; RFC 6891).
struct DNSQuery: Hashable {
    /// What EDNS says of the client (RFC 6891, section 6.1).
    struct Extension: Hashable {
        /// Bytes of a datagram that the client can take.
        var payloadSize: Int
        var version: UInt8
        /// The DO bit, which an answer repeats (RFC 3225).
        var dnssecOK: Bool
    }

    var id: UInt16
    /// The header's second field.
    var flags: UInt16
    /// As it was asked, in its case: clients may use that against forgery ("0x20").
    var name: DomainName
    var type: RecordType
    var classField: UInt16
    var edns: Extension?

    var isRecursionDesired: Bool { flags & HeaderFlags.recursionDesired != 0 }
}

extension DNSQuery {
    /// What becomes of the bytes of a client.
    enum Reading: Equatable {
        case query(DNSQuery)
        /// A question that can't be read: what to answer.
        case unreadable([UInt8], ResponseCode)
        /// Answers are never answered, else two servers could be made to talk to each other for ever; nor is what has no header.
        case ignored
    }

    static let headerSize = 12
    private static let standardQuery: UInt16 = 0

    static func read(_ message: [UInt8]) -> Reading {
        var reader = DNSReader(message)
        guard let id = try? reader.integer(UInt16.self), let flags = try? reader.integer(UInt16.self), message.count >= headerSize,
            flags & HeaderFlags.response == 0
        else { return .ignored }
        let unreadable = { (code: ResponseCode) -> Reading in
            // Opcode and the bits that answers repeat, the four counts zero.
            let kept = flags & (HeaderFlags.operation | HeaderFlags.recursionDesired | HeaderFlags.checkingDisabled)
            return .unreadable(DNSWriter(id: id, flags: HeaderFlags.response | kept | code.rawValue, counts: [0, 0, 0, 0]).bytes, code)
        }
        guard flags & HeaderFlags.operation == standardQuery else { return unreadable(.notImplemented) }
        do throws(DNSMessageError) {
            guard let query = try DNSQuery(id: id, flags: flags, &reader) else { return unreadable(.formatError) }
            return .query(query)
        } catch { return unreadable(.formatError) }
    }

    /// Nil when what is there can be read but has no place in a query.
    private init?(id: UInt16, flags: UInt16, _ reader: inout DNSReader) throws(DNSMessageError) {
        var counts: [UInt16] = []
        for _ in 0..<4 { counts.append(try reader.integer(UInt16.self)) }
        // More than one question has no meaning (RFC 9619), and a query brings no records but EDNS and signatures.
        guard counts[0] == 1, counts[1] == 0, counts[2] == 0 else { return nil }
        let name = try reader.name()
        // A pointer could only lead into the header.
        guard reader.position == Self.headerSize + name.wire.count else { return nil }
        self.init(id: id, flags: flags, name: name, type: RecordType(rawValue: try reader.integer(UInt16.self)),
                  classField: try reader.integer(UInt16.self))
        for _ in 0..<counts[3] {
            let owner = try reader.name()
            let type = RecordType(rawValue: try reader.integer(UInt16.self))
            let size = try reader.integer(UInt16.self)
            let fields = try reader.integer(UInt32.self)
            _ = try reader.take(Int(try reader.integer(UInt16.self)))
            guard type == .opt else { continue }
            guard edns == nil, owner == .root else { return nil }
            edns = Extension(payloadSize: Int(size), version: UInt8(fields >> 16 & 255), dnssecOK: fields & 0x8000 != 0)
        }
    }
}
