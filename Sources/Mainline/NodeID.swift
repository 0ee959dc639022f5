import Crypto
import Platform

/// A point of the DHT's 160-bit key space: the id of a node, or the target of a look-up (BEP 5).
public struct NodeID: Hashable, Sendable {
    private var high: UInt64
    private var middle: UInt64
    private var low: UInt32

    /// Nil unless there are 20 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 20 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        middle = bytes.dropFirst(8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(16).reduce(0) { $0 << 8 | UInt32($1) }
    }

    public static func random() -> NodeID { NodeID(randomBytes(20))! }

    /// Where the DHT keeps an immutable or mutable item: the SHA-1 of what names it (BEP 44).
    public init(hashing bytes: [UInt8]) { self.init(sha1(bytes))! }

    /// 20 bytes, most significant first.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20)
        withUnsafeBytes(of: high.bigEndian) { bytes += $0 }
        withUnsafeBytes(of: middle.bigEndian) { bytes += $0 }
        withUnsafeBytes(of: low.bigEndian) { bytes += $0 }
        return bytes
    }

    /// The XOR metric (BEP 5). Distances compare like numbers.
    public func distance(to other: NodeID) -> Distance {
        Distance(high: high ^ other.high, middle: middle ^ other.middle, low: low ^ other.low)
    }

    /// How many leading bits the two have in common, 0 to 160.
    public func commonPrefix(with other: NodeID) -> Int {
        if high != other.high { return (high ^ other.high).leadingZeroBitCount }
        if middle != other.middle { return 64 + (middle ^ other.middle).leadingZeroBitCount }
        return 128 + (low ^ other.low).leadingZeroBitCount
    }

    public struct Distance: Comparable, Sendable {
        var high: UInt64
        var middle: UInt64
        var low: UInt32

        public static func < (left: Distance, right: Distance) -> Bool {
            (left.high, left.middle, left.low) < (right.high, right.middle, right.low)
        }
    }
}

extension NodeID: CustomStringConvertible {
    public var description: String { hexadecimal(bytes) }
}

extension NodeID {
    /// Whether the first 21 bits follow from the address as BEP 42 wants, so that nobody can choose his place in the key space.
    /// Addresses that only exist in local networks always fit.
    public func isValid(for ip: IPAddress) -> Bool {
        ip.isLocalNetwork || high >> 43 == UInt64(NodeID.prefix(for: ip, random: UInt8(truncatingIfNeeded: low))) >> 11
    }

    /// An id that is valid for the address (BEP 42).
    ///
    /// - Parameter random: 20 random bytes; the result takes all from them that the address does not decide.
    public init(for ip: IPAddress, random: [UInt8]) {
        self.init(random)!
        let prefix = UInt64(NodeID.prefix(for: ip, random: UInt8(truncatingIfNeeded: low))) >> 11
        high = prefix << 43 | high & (1 << 43 - 1)
    }

    private static func prefix(for ip: IPAddress, random: UInt8) -> UInt32 {
        var masked: [UInt8]
        switch ip.unmapped {
        case .v4: masked = zip(ip.unmapped.bytes, [0x03, 0x0f, 0x3f, 0xff] as [UInt8]).map { $0 & $1 }
        case .v6: masked = zip(ip.bytes, [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff] as [UInt8]).map { $0 & $1 }
        }
        masked[0] |= (random & 7) << 5
        return crc32c(masked)
    }
}

extension IPAddress {
    /// What belongs to one owner at least: an IPv4 address, or the first 64 bits of an IPv6 address.
    var site: IPAddress { if case .v6(let high, _) = unmapped { .v6(high: high, low: 0) } else { unmapped } }

    /// Loopback, private and link-local addresses, for which BEP 42 demands nothing.
    var isLocalNetwork: Bool {
        switch unmapped {
        case .v4(let value):
            value >> 24 == 10 || value >> 20 == 0xac1 || value >> 16 == 0xc0a8 || value >> 16 == 0xa9fe || value >> 24 == 127
        case .v6(let high, _): isLoopback || high >> 54 == 0x3fa || high >> 57 == 0x7e
        }
    }
}

/// CRC-32C (RFC 3720, appendix B.4), which BEP 42 builds on.
func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var checksum = UInt32.max
    for byte in bytes {
        checksum ^= UInt32(byte)
        for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 0 ? 0 : 0x82f6_3b78) }
    }
    return ~checksum
}
