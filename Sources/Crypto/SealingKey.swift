import CSodium

/// A key that seals short messages, each with a number that is never used again (ChaCha20-Poly1305, RFC 8439, section 2.8).
public struct SealingKey: Sendable {
    /// Bytes of a key, and those by which a sealed message is longer.
    public static let length = 32, overhead = 16

    private let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length, Crypto.initialized else { return nil }
        self.bytes = Array(bytes)
    }

    /// The message sealed, ``overhead`` longer.
    ///
    /// - Parameter header: What is not secret and has to be the same when the message is opened.
    public func seal(_ message: [UInt8], number: UInt64, header: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: message.count + Self.overhead) { sealed, count in
            crypto_aead_chacha20poly1305_ietf_encrypt(
                sealed.baseAddress!, nil, message, UInt64(message.count), header, UInt64(header.count), nil, Self.nonce(number), bytes)
            count = message.count + Self.overhead
        }
    }

    /// The message; nil if this key has not sealed just this with this number and header.
    public func open(_ sealed: [UInt8], number: UInt64, header: [UInt8]) -> [UInt8]? {
        guard sealed.count >= Self.overhead else { return nil }
        var message = [UInt8](repeating: 0, count: sealed.count - Self.overhead)
        let status = crypto_aead_chacha20poly1305_ietf_decrypt(
            &message, nil, nil, sealed, UInt64(sealed.count), header, UInt64(header.count), Self.nonce(number), bytes)
        return status == 0 ? message : nil
    }

    /// Twelve bytes, as TLS 1.3 pads its numbers (RFC 8446, section 5.3).
    private static func nonce(_ number: UInt64) -> [UInt8] { [0, 0, 0, 0] + withUnsafeBytes(of: number.bigEndian, Array.init) }
}
