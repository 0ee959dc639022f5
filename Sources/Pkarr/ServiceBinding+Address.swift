import Platform

// What a client needs of a service binding to connect (RFC 9460, section 7).
extension ServiceBinding {
    /// The port, if one is named.
    public var port: UInt16? {
        parameters[ServiceParameter.port.rawValue].map { UInt16($0[0]) << 8 | UInt16($0[1]) }
    }

    /// Addresses of the target, IPv6 first.
    public var addressHints: [IPAddress] {
        [(ServiceParameter.ipv6hint, 16), (.ipv4hint, 4)].flatMap { parameter, size -> [IPAddress] in
            guard let value = parameters[parameter.rawValue] else { return [] }
            return stride(from: 0, to: value.count, by: size).compactMap { IPAddress(bytes: value[$0..<min($0 + size, value.count)]) }
        }
    }

    /// Whether a client has to leave the record alone that knows nothing but ports, hints and application protocols (RFC 9460, section 8).
    public var asksForMore: Bool {
        let known = [ServiceParameter.port, .ipv4hint, .ipv6hint, .alpn, .noDefaultALPN].map(\.rawValue)
        let mandatory = parameters[ServiceParameter.mandatory.rawValue] ?? []
        return stride(from: 0, to: mandatory.count - 1, by: 2).contains { !known.contains(UInt16(mandatory[$0]) << 8 | UInt16(mandatory[$0 + 1])) }
    }
}
