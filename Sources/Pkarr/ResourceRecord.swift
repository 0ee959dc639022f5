/// A DNS resource record (RFC 1035, section 4.1.3). The data stays as it stood on the wire, so that what nobody here understands
/// passes through unchanged; ``data`` gives the readable view.
public struct ResourceRecord: Hashable, Sendable {
    /// IN, the class of everything in pkarr.
    public static let internetClass: UInt16 = 1
    /// The bit of the class field by which multicast DNS asks to replace what is cached (RFC 6762, section 10.2).
    public static let cacheFlushBit: UInt16 = 0x8000

    public var name: DomainName
    public var type: RecordType
    /// The class field with its cache-flush bit.
    public var classField: UInt16
    /// Seconds.
    public var timeToLive: UInt32
    /// RDATA with all names in full.
    public var rdata: [UInt8]

    public init(
        name: DomainName, type: RecordType, classField: UInt16 = internetClass, timeToLive: UInt32, rdata: [UInt8]
    ) {
        self.name = name
        self.type = type
        self.classField = classField
        self.timeToLive = timeToLive
        self.rdata = rdata
    }
}

extension ResourceRecord {
    /// Whether the data has exactly the form of its type, as far as the type is known here. Pkarr's reader also takes data that is empty
    /// or followed by more (spec/pkarr-wire.md, 1.5), at which DNS clients would refuse a whole answer.
    public var hasExactForm: Bool {
        if let layout = RDATALayout(of: type) { return layout.fits(rdata) }
        guard type.name != nil else { return true }
        if case .other = data { return false }
        return true
    }
}

extension RDATALayout {
    fileprivate func fits(_ rdata: [UInt8]) -> Bool {
        var reader = DNSReader(rdata)
        do throws(DNSMessageError) {
            _ = try reader.take(fixed)
            for _ in 0..<names { _ = try reader.name() }
        } catch { return false }
        return rdata.count - reader.position == trailing
    }
}
