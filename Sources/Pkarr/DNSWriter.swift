/// Writes a DNS message with names compressed as real pkarr peers do it (spec/pkarr-wire.md, 1.5): every suffix of a compressible name is
/// remembered where it first stood, and the longest one remembered becomes a pointer.
public struct DNSWriter {
    /// The message so far.
    public private(set) var bytes: [UInt8]
    /// Suffixes in wire form and the offset of their first appearance.
    private var offsets: [Suffix: Int] = [:]
    /// Pointers have 14 bits.
    private static let furthestOffset = 0x3fff

    init(answerCount: UInt16) { self.init(id: 0, flags: DNSMessage.flags, counts: [0, answerCount, 0, 0]) }

    /// Begins with a header (RFC 1035, section 4.1.1).
    ///
    /// - Parameter counts: Questions, answers, authorities and additional records that will be written.
    public init(id: UInt16, flags: UInt16, counts: [UInt16]) {
        bytes = []
        bytes.reserveCapacity(SignedPacket.maximumMessageSize)
        append(id)
        append(flags)
        for count in counts { append(count) }
    }

    /// Writes a question (RFC 1035, section 4.1.2), its name in full.
    public mutating func append(question name: DomainName, type: RecordType, class: UInt16) {
        append(compressing: name)
        append(type.rawValue)
        append(`class`)
    }

    private mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
    }

    private mutating func append(compressing name: DomainName) {
        var position = 0
        for suffix in name.suffixes {
            let suffix = Suffix(wire: suffix)
            if let offset = offsets[suffix] {
                append(UInt16(0xc000 | offset))
                return
            }
            if bytes.count <= Self.furthestOffset { offsets[suffix] = bytes.count }
            let end = position + 1 + Int(name.wire[position])
            bytes += name.wire[position..<end]
            position = end
        }
        bytes.append(0)
    }

    public mutating func append(_ record: ResourceRecord) {
        append(compressing: record.name)
        append(record.type.rawValue)
        append(record.classField)
        append(record.timeToLive)
        let lengthPosition = bytes.count
        append(UInt16(0))
        appendRDATA(of: record)
        let length = UInt16(bytes.count - lengthPosition - 2)
        bytes[lengthPosition] = UInt8(length >> 8)
        bytes[lengthPosition + 1] = UInt8(length & 255)
    }

    private mutating func appendRDATA(of record: ResourceRecord) {
        guard let layout = RDATALayout(of: record.type), layout.isCompressed, !record.rdata.isEmpty else {
            bytes += record.rdata
            return
        }
        var reader = DNSReader(record.rdata)
        // Data of these types was checked when it was read or made; what isn't names stays as it is.
        guard let fixed = try? reader.take(layout.fixed) else { return }
        bytes += fixed
        for _ in 0..<layout.names {
            guard let name = try? reader.name() else { return }
            append(compressing: name)
        }
        bytes += record.rdata[reader.position...]
    }
}

/// A slice hashes byte by byte, and this at one go.
private struct Suffix: Hashable {
    let wire: ArraySlice<UInt8>

    func hash(into hasher: inout Hasher) { wire.withUnsafeBytes { hasher.combine(bytes: $0) } }
}
