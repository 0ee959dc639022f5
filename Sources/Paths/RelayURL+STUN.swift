import Iroh
import Platform

extension RelayURL {
    /// Where a relay answers STUN: iroh's and ours do, on the protocol's own port (RFC 8489, section 8.1; spec/iroh-wire.md, 5.4).
    public var stunServer: HostAndPort {
        let name = authority.first == "[" ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
        return HostAndPort(host: String(name), port: 3478)
    }
}
