import Crypto
import Iroh
import Pkarr
import Platform

/// A domain that a homeserver's records name, for HTTPS with an ordinary certificate.
struct Domain: Hashable, Sendable {
    /// In lower case, without a final dot.
    var name: String
    var port: UInt16
    /// Whose homeserver is there.
    var key: PublicKey

    /// As in a URL: without the port that `https` has anyway.
    var authority: String { port == 443 ? name : "\(name):\(port)" }
}

/// Where one takes Pubky TLS.
struct KeyedAddress: Hashable, Sendable {
    var address: SocketAddress
    var key: PublicKey
}

/// Where the records of a key lead.
struct Places: Equatable {
    var addresses: [KeyedAddress] = []
    var domains: [Domain] = []
    var endpoints: [EndpointAddress] = []
    /// What is not dialled, and why.
    var refused: [UpstreamAttempt] = []

    // Whoever signs a packet chooses whom we bother: each place costs packets to somebody.
    static let mostAddresses = 8
    static let mostDomains = 4
    static let mostEndpoints = 4
}

/// Which of the places that a stranger's packet names may be dialled.
struct Caution {
    /// Whether addresses of this machine and of the networks around it may be.
    var allowsLocal = false

    static let reason = "a place of this machine or its network is not dialled for a packet without --allow-local"

    func allows(_ ip: IPAddress) -> Bool { allowsLocal ? !ip.unmapped.isUnspecified : ip.unmapped.scope == .global }

    /// A relay is a name, or an address that may be dialled.
    func allows(_ url: RelayURL) -> Bool {
        guard let host = HostAndPort(url.authority)?.host ?? HostAndPort("\(url.authority):0")?.host else { return false }
        return IPAddress(host).map(allows) ?? allows(domain: host)
    }

    /// A name of the public DNS. Numbers in whatever form, which the system's resolver would take for an address, are none.
    func allows(domain name: String) -> Bool {
        let labels = name.lowercased().split(separator: ".", omittingEmptySubsequences: false)
        guard let last = labels.last, !last.allSatisfy(\.isNumber), !last.hasPrefix("0x"), name.utf8.allSatisfy(Self.isNameCharacter) else { return false }
        return allowsLocal || (labels.count > 1 && last != "localhost" && last != "local")
    }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
        default: false
        }
    }
}
