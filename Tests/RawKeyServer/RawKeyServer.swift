import CGnuTLS
import Glibc

private func bytes(_ hexadecimal: String) -> [UInt8] {
    stride(from: 0, to: hexadecimal.utf8.count, by: 2).map { offset in
        UInt8(hexadecimal.dropFirst(offset).prefix(2), radix: 16)!
    }
}

private func datum(_ bytes: UnsafeMutableBufferPointer<UInt8>) -> gnutls_datum_t {
    gnutls_datum_t(data: bytes.baseAddress, size: UInt32(bytes.count))
}

/// A server of Pubky TLS, which shows `key` and signs with `seed`.
public final class RawKeyServer {
    private let session: gnutls_session_t
    private var credentials: gnutls_certificate_credentials_t?
    private let socket: Int32

    /// A seed and its key (RFC 8032, 7.1, test 1).
    public static let exampleSeed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public static let exampleKey = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    /// - Parameter socket: Non-blocking; stays its owner's.
    public init(seed: [UInt8], key: [UInt8], socket: Int32) {
        var session: gnutls_session_t?
        gnutls_init(&session, keyhole_tls_server_flags() | UInt32(GNUTLS_ENABLE_RAWPK.rawValue))
        self.session = session!
        self.socket = socket
        gnutls_certificate_allocate_credentials(&credentials)
        var (shown, secret) = (bytes("302a300506032b6570032100") + key, bytes("302e020100300506032b657004220420") + seed)
        shown.withUnsafeMutableBufferPointer { shown in
            secret.withUnsafeMutableBufferPointer { secret in
                var (shown, secret) = (datum(shown), datum(secret))
                _ = gnutls_certificate_set_rawpk_key_mem(credentials, &shown, &secret, GNUTLS_X509_FMT_DER, nil, 0, nil, 0, 0)
            }
        }
        gnutls_credentials_set(self.session, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials!))
        gnutls_priority_set_direct(self.session, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-X509", nil)
        gnutls_transport_set_int2(self.session, socket, socket)
    }

    deinit {
        gnutls_deinit(session)
        gnutls_certificate_free_credentials(credentials)
    }

    /// Goes on with the handshake; whether it is over.
    public func handshake() -> Bool { gnutls_handshake(session) == 0 }

    /// Whether something of the client's waits in the socket.
    public var hasInput: Bool {
        var byte: UInt8 = 0
        return recv(socket, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) > 0
    }

    /// Reads what waits, answers with a text and ends its direction.
    public func exchange(_ text: String) -> String {
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = gnutls_record_recv(session, &buffer, buffer.count)
        gnutls_record_send(session, text, text.utf8.count)
        gnutls_bye(session, GNUTLS_SHUT_WR)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    /// The name that the client has given.
    public var name: String {
        var buffer = [CChar](repeating: 0, count: 256)
        var (length, kind) = (buffer.count, UInt32(0))
        gnutls_server_name_get(session, &buffer, &length, &kind, 0)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
