import CSodium

/// SHA-256 (FIPS 180-4).
///
/// - Returns: 32 bytes.
public func sha256(_ message: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_bytes()))
    crypto_hash_sha256(&digest, message, UInt64(message.count))
    return digest
}
