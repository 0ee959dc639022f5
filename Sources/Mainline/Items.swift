import Crypto

/// A signed, replaceable item of the DHT (BEP 44): what a pkarr packet travels in.
public struct MutableItem: Hashable, Sendable {
    /// 32 bytes, `k`.
    public var key: PublicKey
    /// At most 64 bytes; empty for pkarr.
    public var salt: [UInt8]
    /// `seq`, never negative. pkarr's is the packet's timestamp in microseconds.
    public var sequence: Int64
    /// 64 bytes, `sig`.
    public var signature: [UInt8]
    /// `v` in its bencoded form, which is what the signature covers.
    public var encodedValue: [UInt8]

    /// An item whose value is a byte string, as every pkarr packet's is.
    public init(key: PublicKey, salt: [UInt8] = [], sequence: Int64, signature: [UInt8], value: [UInt8]) {
        self.init(key: key, salt: salt, sequence: sequence, signature: signature, encodedValue: Bencode.string(value).encoded)
    }

    init(key: PublicKey, salt: [UInt8], sequence: Int64, signature: [UInt8], encodedValue: [UInt8]) {
        self.key = key
        self.salt = salt
        self.sequence = sequence
        self.signature = signature
        self.encodedValue = encodedValue
    }

    /// The byte string in `v`; nil when it holds something else.
    public var value: [UInt8]? { try? Bencode(encodedValue).stringValue }

    /// Where nodes keep it: SHA-1 of key and salt.
    public var target: NodeID { MutableItem.target(of: key, salt: salt) }

    public static func target(of key: PublicKey, salt: [UInt8] = []) -> NodeID { NodeID(hashing: key.bytes + salt) }

    /// What the signature covers: salt if any, sequence and value, each with its key as in a dictionary (BEP 44).
    public static func signedBytes(salt: [UInt8], sequence: Int64, encodedValue: [UInt8]) -> [UInt8] {
        (salt.isEmpty ? [] : Array("4:salt\(salt.count):".utf8) + salt) + Array("3:seqi\(sequence)e1:v".utf8) + encodedValue
    }

    /// Whether the key has signed this.
    public var isSignatureValid: Bool {
        key.isValidSignature(signature, of: MutableItem.signedBytes(salt: salt, sequence: sequence, encodedValue: encodedValue))
    }

    /// pkarr's order: the higher sequence, at equal ones the larger value (spec/pkarr-wire.md, 1.6).
    public func isMoreRecent(than other: MutableItem) -> Bool {
        sequence != other.sequence
            ? sequence > other.sequence : (other.value ?? []).lexicographicallyPrecedes(value ?? [])
    }
}

/// Sizes that BEP 44 allows.
public enum ItemLimits {
    /// Bytes of a byte string `v`. Mainline measures the string, libtorrent its encoded form and so stores no more than 996 bytes;
    /// what pkarr allows is stored here (spec/pkarr-wire.md, 1.5).
    public static let valueBytes = 1000
    /// Bytes of a salt.
    public static let saltBytes = 64

    static func allows(encodedValue: [UInt8]) -> Bool {
        if encodedValue.count <= valueBytes { return true }
        guard encodedValue.count <= valueBytes + "\(valueBytes):".utf8.count else { return false }
        return (try? Bencode(encodedValue).stringValue).map { $0.count <= valueBytes } ?? false
    }
}
