import Platform

/// A STUN message (RFC 8489, section 5), as far as asking and telling an address needs it.
public struct STUNMessage: Equatable, Sendable {
    public enum Kind: UInt16, Sendable {
        case bindingRequest = 0x0001
        case bindingSuccess = 0x0101
        case bindingError = 0x0111
    }

    /// An attribute with its value, unpadded.
    public struct Attribute: Equatable, Sendable {
        public var type: UInt16
        public var value: [UInt8]

        public init(type: UInt16, value: [UInt8]) {
            self.type = type
            self.value = value
        }

        /// Whether a receiver that does not know it may go on.
        var isOptional: Bool { type >= 0x8000 }
    }

    /// Why a datagram is no STUN message.
    public enum MalformedError: Error { case notSTUN }

    /// The largest that is read: more than any binding needs, and less than a datagram on Ethernet holds.
    public static let largest = 1200

    static let cookie: UInt32 = 0x2112_a442
    private static let headerLength = 20
    private static let fingerprintMask: UInt32 = 0x5354_554e

    enum AttributeType {
        static let errorCode: UInt16 = 0x0009, unknownAttributes: UInt16 = 0x000a, xorMappedAddress: UInt16 = 0x0020
        static let fingerprint: UInt16 = 0x8028
    }

    public var kind: Kind
    /// 12 bytes.
    public var transaction: [UInt8]
    /// Without FINGERPRINT.
    public var attributes: [Attribute]
    /// Whether the message ends with a FINGERPRINT (14.7), which was right when it was read.
    public var hasFingerprint: Bool

    public init(_ kind: Kind, transaction: [UInt8], attributes: [Attribute] = [], hasFingerprint: Bool = false) {
        precondition(transaction.count == 12)
        self.kind = kind
        self.transaction = transaction
        self.attributes = attributes
        self.hasFingerprint = hasFingerprint
    }

    /// Reads a whole datagram.
    ///
    /// - Throws: Anything that is no STUN message of a known kind with the magic cookie, is cut off, or has a wrong FINGERPRINT.
    public init(decoding bytes: [UInt8]) throws(MalformedError) {
        func number(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }
        func long(_ offset: Int) -> UInt32 { UInt32(number(offset)) << 16 | UInt32(number(offset + 2)) }
        guard (Self.headerLength...Self.largest).contains(bytes.count), bytes.count % 4 == 0, let kind = Kind(rawValue: number(0)),
            Int(number(2)) == bytes.count - Self.headerLength, long(4) == Self.cookie
        else { throw .notSTUN }
        self.init(kind, transaction: Array(bytes[8..<20]))
        var position = Self.headerLength
        while position < bytes.count {
            // Nothing may follow a fingerprint; the rest is a multiple of four, so type and length are there.
            guard !hasFingerprint else { throw .notSTUN }
            let count = Int(number(position + 2))
            let value = position + 4
            guard count <= bytes.count - value else { throw .notSTUN }
            if number(position) == AttributeType.fingerprint {
                guard count == 4, long(value) == crc32(bytes[..<position]) ^ Self.fingerprintMask else { throw .notSTUN }
                hasFingerprint = true
            } else {
                attributes.append(Attribute(type: number(position), value: Array(bytes[value..<value + count])))
            }
            position = value + (count + 3) & ~3
        }
    }

    public var encoded: [UInt8] {
        var body: [UInt8] = []
        for attribute in attributes {
            body += Self.bytes(attribute.type) + Self.bytes(UInt16(attribute.value.count)) + attribute.value
            body += [UInt8](repeating: 0, count: (4 - attribute.value.count % 4) % 4)
        }
        let length = UInt16(body.count + (hasFingerprint ? 8 : 0))
        var bytes = Self.bytes(kind.rawValue) + Self.bytes(length) + Self.bytes(Self.cookie)
        bytes += transaction
        bytes += body
        if hasFingerprint {
            let checksum = crc32(bytes[...]) ^ Self.fingerprintMask
            bytes += Self.bytes(AttributeType.fingerprint) + Self.bytes(UInt16(4)) + Self.bytes(checksum)
        }
        return bytes
    }

    static func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }
}

/// CRC-32 of ITU V.42, as FINGERPRINT has it.
private func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var remainder = UInt32.max
    for byte in bytes {
        remainder ^= UInt32(byte)
        for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0xedb8_8320 : 0) }
    }
    return ~remainder
}
