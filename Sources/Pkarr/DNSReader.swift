/// Reads the pieces of a DNS message (RFC 1035, section 4) one after another.
public struct DNSReader {
    private let bytes: [UInt8]
    /// Bytes from the start of the message to what is read next.
    public private(set) var position: Int
    private var end: Int

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 0
        end = bytes.count
    }

    /// So many bytes as they are.
    public mutating func take(_ count: Int) throws(DNSMessageError) -> ArraySlice<UInt8> {
        guard count <= end - position else { throw .truncated(offset: end) }
        defer { position += count }
        return bytes[position..<position + count]
    }

    // Both are plain functions because a generic one would cost other libraries more than all else of reading a query.

    /// A number of 16 bits in network order.
    public mutating func integer(_: UInt16.Type) throws(DNSMessageError) -> UInt16 {
        guard end - position >= 2 else { throw .truncated(offset: end) }
        defer { position += 2 }
        return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
    }

    /// A number of 32 bits in network order.
    public mutating func integer(_: UInt32.Type) throws(DNSMessageError) -> UInt32 {
        UInt32(try integer(UInt16.self)) << 16 | UInt32(try integer(UInt16.self))
    }

    /// A name, its pointers followed (RFC 1035, section 4.1.4). Each pointer has to lead before the labels it ends, so following ends.
    public mutating func name() throws(DNSMessageError) -> DomainName {
        let start = position
        var wire: [UInt8] = []
        var cursor = position
        var run = position
        var limit = end
        var followed = false
        while true {
            guard cursor < limit else { throw .truncated(offset: limit) }
            let length = Int(bytes[cursor])
            switch length {
            case 0:
                if !followed { position = cursor + 1 }
                return DomainName(uncheckedWire: wire + [0])
            case ...DomainName.longestLabel:
                guard cursor + 1 + length <= limit else { throw .truncated(offset: limit) }
                guard wire.count + 1 + length < DomainName.longest else { throw .badName(offset: start) }
                wire += bytes[cursor..<cursor + 1 + length]
                cursor += 1 + length
            case 0xc0...:
                guard cursor + 2 <= limit else { throw .truncated(offset: limit) }
                let target = (length & 0x3f) << 8 | Int(bytes[cursor + 1])
                guard target < run else { throw .badName(offset: start) }
                if !followed { position = cursor + 2 }
                followed = true
                cursor = target
                run = target
                limit = bytes.count
            default: throw .badName(offset: start)
            }
        }
    }

    /// A record, names in its data in full.
    public mutating func record() throws(DNSMessageError) -> ResourceRecord {
        let name = try name()
        let type = RecordType(rawValue: try integer(UInt16.self))
        let classField = try integer(UInt16.self)
        if type != .opt, !Self.classes.contains(classField & ~ResourceRecord.cacheFlushBit) {
            throw .unknownClass(classField, offset: position - 2)
        }
        let timeToLive = try integer(UInt32.self)
        let length = Int(try integer(UInt16.self))
        guard length <= end - position else { throw .truncated(offset: end) }
        let start = position
        let rdata = try expandedRDATA(type, length: length)
        // Empty data is legal for every type: pkarr's reader keeps it as it is.
        if length > 0, !RecordData.isWellFormed(rdata, type: type) { throw .badRDATA(type, offset: start) }
        return ResourceRecord(name: name, type: type, classField: classField, timeToLive: timeToLive, rdata: rdata)
    }

    /// IN, CS, CH, HS and NONE: what pkarr's reader knows.
    static let classes: Set<UInt16> = [1, 2, 3, 4, 254]

    private mutating func expandedRDATA(_ type: RecordType, length: Int) throws(DNSMessageError) -> [UInt8] {
        guard length > 0, let layout = RDATALayout(of: type) else { return Array(try take(length)) }
        let outerEnd = end
        end = position + length
        defer { end = outerEnd }
        var rdata = Array(try take(layout.fixed))
        for _ in 0..<layout.names { rdata += try name().wire }
        rdata += try take(end - position)
        return rdata
    }
}
