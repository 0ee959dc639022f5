import Glibc

/// An address of an interface of this machine.
public struct InterfaceAddress: Hashable, Sendable {
    /// How long the system means to have it (RFC 4862, section 5.5.4; RFC 8981).
    public enum Standing: Hashable, Sendable {
        case stable
        /// Made up for a day, so that who we are is not told by our address.
        case temporary
        /// Not yet known to be ours alone, found to be somebody else's, or about to go.
        case unusable
    }

    public var interface: String
    public var ip: IPAddress
    public var standing: Standing

    public init(_ interface: String, _ ip: IPAddress, _ standing: Standing = .stable) {
        self.interface = interface
        self.ip = ip
        self.standing = standing
    }

    /// Those of the interfaces that are up and connected to something, in the system's order.
    public static func all() -> [InterfaceAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        let standings = standings(of: lines(of: "/proc/net/if_inet6"))
        let working = UInt32(IFF_UP) | UInt32(IFF_RUNNING)
        var addresses: [InterfaceAddress] = []
        var entry = list
        while let one = entry?.pointee {
            if one.ifa_flags & working == working, let raw = one.ifa_addr, let ip = SocketAddress(raw)?.ip {
                addresses.append(InterfaceAddress(String(cString: one.ifa_name), ip, standings[ip] ?? .stable))
            }
            entry = one.ifa_next
        }
        return addresses
    }

    /// What the lines of `/proc/net/if_inet6` tell: the address, the number of its interface, the length of its prefix, its scope, its
    /// flags, all in hexadecimal digits, and the name of the interface.
    static func standings(of lines: [[Substring]]) -> [IPAddress: Standing] {
        // <linux/if_addr.h>
        let temporary = 0x01, optimistic = 0x04, duplicate = 0x08, deprecated = 0x20, tentative = 0x40
        var standings: [IPAddress: Standing] = [:]
        for words in lines where words.count == 6 {
            guard let ip = IPAddress(hexDigits: words[0]), let flags = Int(words[4], radix: 16) else { continue }
            let isUnsure = flags & tentative != 0 && flags & optimistic == 0
            let isUnusable = flags & (duplicate | deprecated) != 0 || isUnsure
            standings[ip] = isUnusable ? .unusable : flags & temporary != 0 ? .temporary : .stable
        }
        return standings
    }
}

extension IPAddress {
    /// The 32 digits of an IPv6 address, as the kernel writes them.
    init?(hexDigits text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 32, let high = UInt64(String(decoding: digits[..<16], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits[16...], as: UTF8.self), radix: 16)
        else { return nil }
        self = .v6(high: high, low: low)
    }
}

/// The words of each line of a file that the kernel writes; nothing when it can't be read.
func lines(of path: String) -> [[Substring]] {
    // Some ten thousand routes: a machine with more is no host, but part of the Internet.
    guard let bytes = try? readFile(path, limit: 1 << 20) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { $0.split { $0 == " " || $0 == "\t" } }
}
