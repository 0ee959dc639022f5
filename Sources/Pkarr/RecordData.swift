import Platform

/// What the data of a record says, for the types with a readable form.
public enum RecordData: Hashable, Sendable {
    /// A or AAAA (RFC 1035, RFC 3596).
    case address(IPAddress)
    /// CNAME or NS: a name, which pkarr leaves as it was given.
    case name(DomainName)
    /// TXT: character-strings of at most 255 bytes each.
    case strings([[UInt8]])
    /// SVCB or HTTPS (RFC 9460).
    case service(ServiceBinding)
    /// Any other type, and data that has another length than its type's.
    case other([UInt8])
}

extension RecordData {
    /// Reads RDATA in which names stand in full.
    init(_ rdata: [UInt8], type: RecordType) {
        self = Self.understood(rdata, type: type) ?? .other(rdata)
    }

    private static func understood(_ rdata: [UInt8], type: RecordType) -> RecordData? {
        switch type {
        case .a: rdata.count == 4 ? IPAddress(bytes: rdata).map(RecordData.address) : nil
        case .aaaa: rdata.count == 16 ? IPAddress(bytes: rdata).map(RecordData.address) : nil
        case .ns, .cname: wholeName(rdata).map(RecordData.name)
        case .txt: rdata.isEmpty ? nil : characterStrings(rdata).map(RecordData.strings)
        case .svcb, .https: ServiceBinding(rdata).map(RecordData.service)
        default: nil
        }
    }

    private static func wholeName(_ rdata: [UInt8]) -> DomainName? {
        var reader = DNSReader(rdata)
        guard let name = try? reader.name(), reader.position == rdata.count else { return nil }
        return name
    }

    /// Strings with a length byte before each (RFC 1035, section 3.3).
    static func characterStrings(_ bytes: some Collection<UInt8>) -> [[UInt8]]? {
        var strings: [[UInt8]] = []
        var rest = bytes[...]
        while let length = rest.first {
            let string = rest.dropFirst().prefix(Int(length))
            guard string.count == length else { return nil }
            strings.append(Array(string))
            rest = rest.dropFirst(1 + Int(length))
        }
        return strings
    }

    /// Whether pkarr's reader takes this data, names in full: it refuses what is too short, and ignores what stands behind an address
    /// or a name (spec/pkarr-wire.md, 1.5).
    static func isWellFormed(_ rdata: [UInt8], type: RecordType) -> Bool {
        switch type {
        case .a: rdata.count >= 4
        case .aaaa: rdata.count >= 16
        case .txt: characterStrings(rdata) != nil
        case .svcb, .https: ServiceBinding(rdata) != nil
        default: true
        }
    }

    /// The wire form, names in full.
    ///
    /// - Precondition: strings have at most 255 bytes each.
    public var rdata: [UInt8] {
        switch self {
        case .address(let address): address.bytes
        case .name(let name): name.wire
        // A TXT record without strings is written as one empty string (spec/pkarr-wire.md, 1.5).
        case .strings(let strings): (strings.isEmpty ? [[]] : strings).flatMap { [UInt8($0.count)] + $0 }
        case .service(let service): service.rdata
        case .other(let bytes): bytes
        }
    }
}

extension ResourceRecord {
    /// The readable view.
    public var data: RecordData { RecordData(rdata, type: type) }
}
