import CGnuTLS

/// How a client tells the server it wants from others. One is enough for all sessions of a kind: reading the system's certificates takes
/// some milliseconds.
public final class TLSTrust {
    let certificate: gnutls_certificate_credentials_t
    let priority: gnutls_priority_t
    /// What is spoken inside (RFC 7301); nil does not say.
    let protocolName: String?

    /// By the server's raw public key, an Ed25519 key (RFC 7250, RFC 8410): Pubky TLS (spec/pkarr-wire.md, 5.2).
    public static func rawKeys() throws(TLSError) -> TLSTrust { try TLSTrust(rawKeyPriority, protocolName: nil) { _ in 0 } }

    /// By a certificate for the server's name.
    ///
    /// - Parameter authorities: PEM, the certificates that vouch for others; nil for those that the system trusts.
    /// - Throws: When there are none.
    public static func certificates(authorities: [UInt8]? = nil) throws(TLSError) -> TLSTrust {
        try TLSTrust(ordinaryPriority, protocolName: "http/1.1") { certificate in
            let count = authorities.map { pem in
                withDatum(pem) { gnutls_certificate_set_x509_trust_mem(certificate, $0, GNUTLS_X509_FMT_PEM) }
            } ?? gnutls_certificate_set_x509_system_trust(certificate)
            return count == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : count
        }
    }

    private init(
        _ priority: String, protocolName: String?, _ fill: (gnutls_certificate_credentials_t) -> Int32
    ) throws(TLSError) {
        (certificate, self.priority) = try makeCredentials(priority: priority, fill)
        self.protocolName = protocolName
    }

    deinit {
        gnutls_certificate_free_credentials(certificate)
        gnutls_priority_deinit(priority)
    }

    /// Raw keys need TLS 1.3 at rustls, which is what homeservers have; the only signature is Ed25519's.
    private static let rawKeyPriority =
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-EDDSA-ED25519:-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-X509"
}

/// Who the server has to be.
public enum TLSIdentity: Equatable, Sendable {
    /// The owner of an Ed25519 key of 32 bytes.
    case key([UInt8])
    /// The owner of a domain, as a certificate says (RFC 9525).
    case domain(String)

    /// DER of a SubjectPublicKeyInfo up to the key (RFC 8410, section 4).
    private static let keyPrefix: [UInt8] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]

    /// Checks what the server of a finished handshake has shown, and thereby proved to own.
    func check(_ session: gnutls_session_t) throws(TLSError) {
        switch self {
        case .key(let key):
            var count: UInt32 = 0
            guard gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK,
                  let shown = gnutls_certificate_get_peers(session, &count), count == 1
            else { throw .impostor("the server has a certificate instead of a key") }
            let bytes = UnsafeRawBufferPointer(start: shown.pointee.data, count: Int(shown.pointee.size))
            guard bytes.elementsEqual(Self.keyPrefix + key) else { throw .impostor("the server has another key") }
        case .domain(let name):
            var status: UInt32 = 0
            let result = gnutls_certificate_verify_peers3(session, name, &status)
            guard result >= 0 else { throw .impostor("the server's certificate can't be checked: \(TLSError(code: result))") }
            guard status == 0 else { throw .impostor("the certificate is not \(name)'s, or nobody trusted vouches for it: \(Self.words(status))") }
        }
    }

    private static func words(_ status: UInt32) -> String {
        var text = gnutls_datum_t()
        guard gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) >= 0 else { return "status \(status)" }
        defer { keyhole_tls_free(text.data) }
        let bytes = UnsafeRawBufferPointer(start: text.data, count: Int(text.size)).prefix { $0 != 0 }
        var words = Substring(String(decoding: bytes, as: UTF8.self))
        while words.last == " " || words.last == "." { words.removeLast() }
        return String(words)
    }
}
