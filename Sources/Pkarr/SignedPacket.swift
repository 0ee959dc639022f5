import Crypto

/// Why bytes are no signed packet.
public enum SignedPacketError: Error, Equatable, CustomStringConvertible {
    /// Too few bytes for signature, timestamp and a DNS header; the count is that of the relay payload.
    case tooShort(Int)
    /// The DNS message has more than ``SignedPacket/maximumMessageSize`` bytes; the count is the message's.
    case tooLong(Int)
    /// The timestamp does not fit BEP 44's signed sequence number.
    case timestampOutOfRange(UInt64)
    /// The signature is not this key's over this content.
    case badSignature
    case badMessage(DNSMessageError)

    public var description: String {
        switch self {
        case .tooShort(let count): "too short for a signed packet: \(count) bytes"
        case .tooLong(let count): "the DNS message has \(count) bytes, at most \(SignedPacket.maximumMessageSize) are allowed"
        case .timestampOutOfRange(let timestamp): "the timestamp \(timestamp) is out of range"
        case .badSignature: "the signature is not this key's over this content"
        case .badMessage(let error): error.description
        }
    }
}

/// A pkarr packet: DNS records of a key, signed by it. A value of this type has always been verified
/// (spec/pkarr-wire.md, 1.2 to 1.6; BEP 44).
public struct SignedPacket: Hashable, Sendable {
    /// Most bytes of a DNS message in a packet.
    public static let maximumMessageSize = 1000
    /// Most bytes that libtorrent nodes, most of the public DHT, store: they count the bencoded form (spec/pkarr-wire.md, 1.5).
    public static let storedEverywhereMessageSize = 996
    /// Bytes of a relay payload before the message: signature and timestamp.
    static let payloadHeaderSize = 64 + 8

    public let publicKey: PublicKey
    /// 64 bytes.
    public let signature: [UInt8]
    /// Microseconds since 1970; BEP 44's `seq`. Below 2^63.
    public let timestamp: UInt64
    /// A DNS message of at most ``maximumMessageSize`` bytes; BEP 44's `v`.
    public let message: [UInt8]

    /// Checks in pkarr's order: lengths, signature, DNS message (spec/pkarr-wire.md, 1.6).
    public init(publicKey: PublicKey, signature: [UInt8], timestamp: UInt64, message: [UInt8]) throws(SignedPacketError) {
        guard signature.count == 64 else { throw .badSignature }
        guard message.count <= Self.maximumMessageSize else { throw .tooLong(message.count) }
        guard timestamp <= UInt64(Int64.max) else { throw .timestampOutOfRange(timestamp) }
        guard publicKey.isValidSignature(signature, of: Self.signable(timestamp: timestamp, message: message)) else {
            throw .badSignature
        }
        do throws(DNSMessageError) { _ = try DNSMessage(wire: message) } catch { throw .badMessage(error) }
        self.init(unchecked: publicKey, signature, timestamp, message)
    }

    /// Reads a relay payload: signature, timestamp (big endian), DNS message.
    public init(publicKey: PublicKey, payload: some Collection<UInt8>) throws(SignedPacketError) {
        guard payload.count >= Self.payloadHeaderSize else { throw .tooShort(payload.count) }
        let timestamp = payload.dropFirst(64).prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        try self.init(publicKey: publicKey, signature: Array(payload.prefix(64)), timestamp: timestamp,
                      message: Array(payload.dropFirst(Self.payloadHeaderSize)))
    }

    /// Signs a message.
    public init(signing message: DNSMessage, timestamp: UInt64, with key: SecretKey) throws(SignedPacketError) {
        let wire = message.wire
        guard wire.count <= Self.maximumMessageSize else { throw .tooLong(wire.count) }
        guard timestamp <= UInt64(Int64.max) else { throw .timestampOutOfRange(timestamp) }
        self.init(unchecked: key.publicKey, key.sign(Self.signable(timestamp: timestamp, message: wire)), timestamp, wire)
    }

    private init(unchecked publicKey: PublicKey, _ signature: [UInt8], _ timestamp: UInt64, _ message: [UInt8]) {
        self.publicKey = publicKey
        self.signature = signature
        self.timestamp = timestamp
        self.message = message
    }

    /// What a relay takes and gives: signature, timestamp (big endian), DNS message.
    public var payload: [UInt8] { signature + withUnsafeBytes(of: timestamp.bigEndian, Array.init) + message }

    /// Bytes of the DNS message, which the limits count.
    public var size: Int { message.count }

    /// The records of the packet, in order.
    public var records: [ResourceRecord] {
        // The message was read when this value was made.
        (try? DNSMessage(wire: message))?.answers ?? []
    }

    /// Whether this packet replaces the other: a later timestamp, or at the same one the greater message bytes.
    public func isMoreRecent(than other: SignedPacket) -> Bool {
        timestamp != other.timestamp ? timestamp > other.timestamp : other.message.lexicographicallyPrecedes(message)
    }

    /// The bytes that are signed (BEP 44): `3:seqi<timestamp>e1:v<length>:<message>`.
    public static func signable(timestamp: UInt64, message: [UInt8]) -> [UInt8] {
        Array("3:seqi\(timestamp)e1:v\(message.count):".utf8) + message
    }
}
