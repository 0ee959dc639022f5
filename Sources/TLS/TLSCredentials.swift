import CGnuTLS

/// A server's certificate chain and key, and the protocol versions it speaks: TLS 1.2 and 1.3.
public final class TLSCredentials {
    let certificate: gnutls_certificate_credentials_t
    let priority: gnutls_priority_t

    /// - Parameters:
    ///   - chain: PEM, the server's certificate first.
    ///   - key: PEM, not encrypted.
    /// - Throws: When they can't be read, or the key is not the certificate's.
    public init(chain: [UInt8], key: [UInt8]) throws(TLSError) {
        (certificate, priority) = try makeCredentials(priority: ordinaryPriority) { certificate in
            withDatum(chain) { chain in
                withDatum(key) { key in gnutls_certificate_set_x509_key_mem(certificate, chain, key, GNUTLS_X509_FMT_PEM) }
            }
        }
    }

    deinit {
        gnutls_certificate_free_credentials(certificate)
        gnutls_priority_deinit(priority)
    }
}

/// What speaks ordinary TLS.
let ordinaryPriority = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
