import CNettle

/// SHA-1 (RFC 3174), which BEP 44 uses to name items; not for security.
///
/// - Returns: 20 bytes.
public func sha1(_ message: [UInt8]) -> [UInt8] {
    var context = sha1_ctx()
    nettle_sha1_init(&context)
    nettle_sha1_update(&context, message.count, message)
    var digest = [UInt8](repeating: 0, count: 20)
    nettle_sha1_digest(&context, 20, &digest)
    return digest
}
