extension IPAddress {
    /// How far an address is of use.
    public enum Scope: Sendable {
        /// Only on this machine, or nowhere: loopback, unspecified, multicast and reserved ones, and what 464XLAT gives to its own end
        /// (RFC 7335).
        case host
        /// Only on one link (RFC 3927, RFC 4291 2.5.6).
        case link
        /// Inside a network: RFC 1918, RFC 4193, RFC 3879, RFC 2544, and RFC 6598, which carriers use behind their NATs.
        case network
        case global
    }

    public var scope: Scope {
        if isLoopback || isUnspecified { return .host }
        switch self {
        case .v4(let value):
            switch (value >> 24, value >> 16 & 255) {
            case (0, _), (224..., _): return .host
            case (192, 0) where value >> 8 & 255 == 0: return .host
            case (169, 254): return .link
            case (10, _), (172, 16...31), (192, 168), (100, 64...127), (198, 18...19): return .network
            default: return .global
            }
        case .v6(let high, _):
            switch (high >> 56, high >> 54 & 3) {
            case (0xff, _): return .host
            case (0xfe, 2): return .link
            case (0xfe, 3), (0xfc...0xfd, _): return .network
            default: return .global
            }
        }
    }
}
