import Glibc

extension IPAddress {
    /// How far an address is of use.
    public enum Scope: Sendable {
        /// Only on this machine, or nowhere: loopback and unspecified.
        case host
        /// Only on one link (RFC 3927, RFC 4291 2.5.6).
        case link
        /// Inside a network: RFC 1918, RFC 4193, and RFC 6598, which carriers use behind their NATs.
        case network
        case global
    }

    public var scope: Scope {
        if isLoopback || isUnspecified { return .host }
        switch self {
        case .v4(let value):
            switch (value >> 24, value >> 16 & 255) {
            case (169, 254): return .link
            case (10, _), (172, 16...31), (192, 168), (100, 64...127): return .network
            default: return .global
            }
        case .v6(let high, _):
            if high >> 54 == 0xfe80 >> 6 { return .link }
            return high >> 57 == 0xfc >> 1 ? .network : .global
        }
    }

    /// The addresses of this machine's interfaces that are up.
    public static func ofInterfaces() -> [IPAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var addresses: [IPAddress] = []
        var entry = list
        while let one = entry?.pointee {
            if one.ifa_flags & UInt32(IFF_UP) != 0, let raw = one.ifa_addr, let ip = SocketAddress(raw)?.ip, !addresses.contains(ip) {
                addresses.append(ip)
            }
            entry = one.ifa_next
        }
        return addresses
    }
}
