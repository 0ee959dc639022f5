import Platform

/// Which hosts that are no keys a request may be passed on to. A page of the web must not reach through the proxy what it could not reach
/// without: this machine, and the network at home.
enum OrdinaryHost {
    /// Web servers', and those that nothing else is at.
    static func isPermitted(port: UInt16) -> Bool { port == 80 || port == 443 || port >= 1024 }

    /// Whether a name is a key with letters mistyped, for which nobody else has a domain.
    static func looksLikeKey(_ host: String) -> Bool {
        let last = host.split(separator: ".").last ?? ""
        return last.utf8.count == 52 || host.hasPrefix("_pubky.")
    }

    /// Whether an address is one of the Internet, also where it carries another in itself.
    static func isPermitted(_ ip: IPAddress) -> Bool {
        guard case .v6(let high, let low) = ip.unmapped else { return ip.unmapped.scope == .global }
        switch high {
        // What is left of the IPv4-compatible ones (RFC 4291, 2.5.5).
        case 0: return false
        // NAT64 (RFC 6052, 2.1) leads to the address in its last 32 bits, and 6to4 (RFC 3056) to that behind its prefix.
        case 0x64_ff9b_0000_0000: return isPermitted(.v4(UInt32(truncatingIfNeeded: low)))
        // Local-use NAT64 (RFC 8215).
        case 0x64_ff9b_0001_0000...0x64_ff9b_0001_ffff: return false
        case _ where high >> 48 == 0x2002: return isPermitted(.v4(UInt32(truncatingIfNeeded: high >> 16)))
        default: return ip.scope == .global
        }
    }
}
