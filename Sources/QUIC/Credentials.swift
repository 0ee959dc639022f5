import CQUIC
import Crypto

/// An Ed25519 key as TLS raw public key, shared by all connections of one role.
final class Credentials {
    let handle: OpaquePointer

    init(_ key: SecretKey, server: Bool) {
        let handle = key.withSeed { seed in
            keyhole_quic_credentials_new(seed.bindMemory(to: UInt8.self).baseAddress, key.publicKey.bytes, server)
        }
        precondition(handle != nil, "GnuTLS knows no Ed25519 raw public keys: it is older than 3.6.6 or out of memory")
        self.handle = handle!
    }

    deinit { keyhole_quic_credentials_free(handle) }
}
