/// The data of an SVCB or HTTPS record (RFC 9460): where a service is and how to reach it.
public struct ServiceBinding: Hashable, Sendable {
    /// 0 makes it an alias for the target.
    public var priority: UInt16
    /// The root stands for the record's own name.
    public var target: DomainName
    /// Values by key, as on the wire.
    public var parameters: [UInt16: [UInt8]]

    public init(priority: UInt16, target: DomainName, parameters: [UInt16: [UInt8]] = [:]) {
        self.priority = priority
        self.target = target
        self.parameters = parameters
    }

    /// Nil unless the keys rise strictly and the values of known keys have their form, as pkarr's reader demands.
    init?(_ rdata: [UInt8]) {
        var reader = DNSReader(rdata)
        do throws(DNSMessageError) {
            priority = try reader.integer(UInt16.self)
            target = try reader.name()
            parameters = [:]
            var previous = -1
            while reader.position < rdata.count {
                let key = try reader.integer(UInt16.self)
                let value = Array(try reader.take(Int(try reader.integer(UInt16.self))))
                guard Int(key) > previous, ServiceParameter.isWellFormed(value, key: key) else { return nil }
                previous = Int(key)
                parameters[key] = value
            }
        } catch { return nil }
    }

    /// Keys in rising order, the target in full (RFC 9460, section 2.2).
    var rdata: [UInt8] {
        var bytes = [UInt8(priority >> 8), UInt8(priority & 255)] + target.wire
        for (key, value) in parameters.sorted(by: { $0.key < $1.key }) {
            for number in [key, UInt16(value.count)] { bytes += [UInt8(number >> 8), UInt8(number & 255)] }
            bytes += value
        }
        return bytes
    }
}

/// The parameters of RFC 9460, section 14.3.2.
enum ServiceParameter: UInt16, CaseIterable {
    case mandatory, alpn, noDefaultALPN, port, ipv4hint, ech, ipv6hint

    /// The presentation name.
    var name: String {
        switch self {
        case .mandatory: "mandatory"
        case .alpn: "alpn"
        case .noDefaultALPN: "no-default-alpn"
        case .port: "port"
        case .ipv4hint: "ipv4hint"
        case .ech: "ech"
        case .ipv6hint: "ipv6hint"
        }
    }

    init?(name: String) {
        guard let parameter = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = parameter
    }

    /// What pkarr's reader accepts as the value of a key; unknown keys take anything.
    static func isWellFormed(_ value: [UInt8], key: UInt16) -> Bool {
        switch ServiceParameter(rawValue: key) {
        case .mandatory: value.count % 2 == 0
        case .alpn: RecordData.characterStrings(value) != nil
        case .port: value.count >= 2
        case .ipv4hint: value.count % 4 == 0
        // An ECHConfigList starts with its own length (RFC 9460 names the draft; spec/pkarr-wire.md, 1.5).
        case .ech: value.count >= 2 && Int(value[0]) << 8 | Int(value[1]) == value.count - 2
        case .ipv6hint: value.count % 16 == 0
        case .noDefaultALPN, nil: true
        }
    }
}
