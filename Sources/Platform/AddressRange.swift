/// The addresses that share a prefix: `192.0.2.0/24`, `2001:db8::/32`; one address alone is `192.0.2.7` or `::1`.
public struct AddressRange: Hashable, Sendable {
    public let base: IPAddress
    /// Bits that are shared: 0 to 32, or to 128.
    public let length: Int

    /// Bits of ``base`` beyond the length are cleared. Nil when the length does not fit the family.
    public init?(_ ip: IPAddress, length: Int) {
        guard (0...(ip.isV6 ? 128 : 32)).contains(length) else { return nil }
        base = ip.masked(to: length)
        self.length = length
    }

    /// Reads an address, or an address, a slash and a length.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let ip = IPAddress(parts[0]) else { return nil }
        guard parts.count == 2 else {
            self.init(ip, length: ip.isV6 ? 128 : 32)
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(parts[1])
        else { return nil }
        self.init(ip, length: length)
    }

    public func contains(_ ip: IPAddress) -> Bool { ip.isV6 == base.isV6 && ip.masked(to: length) == base }

    /// This machine.
    public static let loopback = [AddressRange(.v4(0x7f00_0000), length: 8)!, AddressRange(.v6(high: 0, low: 1), length: 128)!]
    /// Addresses that only a network of one's own has: loopback, and those of RFC 1918, RFC 3927, RFC 4291 (`fe80::/10`) and RFC 4193.
    public static let localNetworks: [AddressRange] =
        loopback + ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fe80::/10", "fc00::/7"].map { AddressRange($0)! }
}

extension IPAddress {
    /// The address with all but its first bits cleared.
    public func masked(to length: Int) -> IPAddress {
        switch self {
        case .v4(let value): .v4(length <= 0 ? 0 : value & (.max << UInt32(max(0, 32 - length))))
        case .v6(let high, let low):
            .v6(high: length <= 0 ? 0 : high & (.max << UInt64(max(0, 64 - length))),
                low: length <= 64 ? 0 : low & (.max << UInt64(max(0, 128 - length))))
        }
    }
}

extension AddressRange: CustomStringConvertible {
    public var description: String { length == (base.isV6 ? 128 : 32) ? "\(base)" : "\(base)/\(length)" }
}
