import CSodium

/// An Ed25519 public key: a pkarr key, an iroh endpoint id and a raw TLS key at once.
public struct PublicKey: Hashable, Sendable {
    /// 32 bytes (RFC 8032).
    public let bytes: [UInt8]

    /// Nil unless there are 32 bytes which encode a point of the curve.
    public init?(bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 32, Crypto.initialized, CurvePoint.decompresses(bytes) else { return nil }
        self.bytes = bytes
    }

    init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// All bytes at one go, which arrays don't do.
    public func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }

    /// Whether the signature (64 bytes) is this key's over the message. Small-order keys and non-canonical encodings are
    /// refused, as iroh's `verify_strict` does (spec/iroh-wire.md, section 1).
    public func isValidSignature(_ signature: some Collection<UInt8>, of message: [UInt8]) -> Bool {
        let signature = Array(signature)
        guard signature.count == 64, Crypto.initialized else { return false }
        return crypto_sign_ed25519_verify_detached(signature, message, UInt64(message.count), bytes) == 0
    }
}

/// An Ed25519 secret key. It lives in locked memory, is wiped when the value ends and can't be copied by accident.
public final class SecretKey {
    private let seed: UnsafeMutableRawPointer
    private let expanded: UnsafeMutableRawPointer
    public let publicKey: PublicKey

    /// Nil unless there are 32 bytes of seed (RFC 8032).
    public init?(seed bytes: some Collection<UInt8>) {
        guard bytes.count == 32, Crypto.initialized, let seed = sodium_malloc(32), let expanded = sodium_malloc(64) else { return nil }
        self.seed = seed
        self.expanded = expanded
        UnsafeMutableRawBufferPointer(start: seed, count: 32).copyBytes(from: bytes)
        var publicBytes = [UInt8](repeating: 0, count: 32)
        crypto_sign_ed25519_seed_keypair(&publicBytes, expanded, seed)
        publicKey = PublicKey(unchecked: publicBytes)
    }

    /// A fresh random key.
    public static func generate() -> SecretKey { SecretKey(seed: randomBytes(32))! }

    deinit {
        sodium_free(seed)
        sodium_free(expanded)
    }

    /// The 64-byte signature of a message.
    public func sign(_ message: [UInt8]) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: 64)
        crypto_sign_ed25519_detached(&signature, nil, message, UInt64(message.count), expanded)
        return signature
    }

    /// A secret of 32 bytes for another purpose, the same each time; nobody can get from one to the other (BLAKE2b keyed with the seed).
    public func derivedSecret(_ purpose: String) -> [UInt8] {
        let purpose = Array(purpose.utf8)
        var secret = [UInt8](repeating: 0, count: 32)
        crypto_generichash(&secret, 32, purpose, UInt64(purpose.count), seed.assumingMemoryBound(to: UInt8.self), 32)
        return secret
    }

    /// Gives the seed's 32 bytes to `body`, which must not keep them.
    public func withSeed<Result, Failure: Error>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Result) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: seed, count: 32))
    }
}

/// Cryptographically secure random bytes.
public func randomBytes(_ count: Int) -> [UInt8] {
    precondition(Crypto.initialized)
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        randombytes_buf(buffer.baseAddress!, count)
        initialized = count
    }
}

enum Crypto {
    /// libsodium asks to be initialised once, before anything else.
    static let initialized = sodium_init() >= 0
}

enum CurvePoint {
    /// libsodium's own point check also demands the prime-order subgroup, which pkarr and iroh do not: they take any encoding that
    /// decompresses. Adding the identity point to it decompresses without that demand.
    static func decompresses(_ bytes: [UInt8]) -> Bool {
        var identity = [UInt8](repeating: 0, count: 32)
        identity[0] = 1
        var sum = [UInt8](repeating: 0, count: 32)
        return crypto_core_ed25519_add(&sum, bytes, identity) == 0
    }
}
