import CGnuTLS

/// What GnuTLS says about a failure.
public struct TLSError: Error, Equatable, CustomStringConvertible {
    public var code: Int32
    public var description: String { String(cString: gnutls_strerror(code)) }
}

/// A server's certificate chain and key, and the protocol versions it speaks: TLS 1.2 and 1.3.
public final class TLSCredentials {
    let certificate: gnutls_certificate_credentials_t
    let priority: gnutls_priority_t

    /// - Parameters:
    ///   - chain: PEM, the server's certificate first.
    ///   - key: PEM, not encrypted.
    /// - Throws: When they can't be read, or the key is not the certificate's.
    public init(chain: [UInt8], key: [UInt8]) throws(TLSError) {
        var certificate: gnutls_certificate_credentials_t?
        var priority: gnutls_priority_t?
        try check(gnutls_certificate_allocate_credentials(&certificate))
        var status = gnutls_priority_init(&priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", nil)
        if status >= 0 {
            status = chain.withUnsafeBytes { chain in
                key.withUnsafeBytes { key in
                    var chain = datum(chain)
                    var key = datum(key)
                    return gnutls_certificate_set_x509_key_mem(certificate, &chain, &key, GNUTLS_X509_FMT_PEM)
                }
            }
        }
        guard status >= 0 else {
            gnutls_certificate_free_credentials(certificate)
            gnutls_priority_deinit(priority)
            throw TLSError(code: status)
        }
        self.certificate = certificate!
        self.priority = priority!
    }

    deinit {
        gnutls_certificate_free_credentials(certificate)
        gnutls_priority_deinit(priority)
    }
}

private func datum(_ bytes: UnsafeRawBufferPointer) -> gnutls_datum_t {
    let start = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
    return gnutls_datum_t(data: start, size: UInt32(bytes.count))
}

func check(_ status: Int32) throws(TLSError) {
    if status < 0 { throw TLSError(code: status) }
}
