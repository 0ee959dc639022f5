import CGnuTLS

/// What GnuTLS says about a failure.
public struct TLSError: Error, Equatable, CustomStringConvertible {
    public var code: Int32
    /// Whether the other end is somebody else than was asked for, or can't prove to be who it says.
    public var isImpostor = false
    /// In words, where the code alone says too little.
    var words: String?

    init(code: Int32) {
        self.code = code
        isImpostor = code == GNUTLS_E_PK_SIG_VERIFY_FAILED
    }

    static func impostor(_ words: String) -> TLSError {
        var error = TLSError(code: GNUTLS_E_CERTIFICATE_ERROR)
        (error.isImpostor, error.words) = (true, words)
        return error
    }

    /// The socket is of a kind that can't be used, or there is no more room for one.
    public static var badSocket: TLSError { TLSError(code: GNUTLS_E_PULL_ERROR) }

    public var description: String {
        if let words { return words }
        // Sentences in messages begin small and have no full stop.
        let text = String(cString: gnutls_strerror(code))
        let small = text.dropFirst().first?.isLowercase == true ? text.prefix(1).lowercased() + text.dropFirst() : text
        return small.last == "." ? String(small.dropLast()) : small
    }
}

func check(_ status: Int32) throws(TLSError) {
    if status < 0 { throw TLSError(code: status) }
}

/// Makes what two GnuTLS objects are needed for; both are freed again if that fails.
func makeCredentials(
    priority text: String, _ fill: (gnutls_certificate_credentials_t) -> Int32
) throws(TLSError) -> (certificate: gnutls_certificate_credentials_t, priority: gnutls_priority_t) {
    var certificate: gnutls_certificate_credentials_t?
    var priority: gnutls_priority_t?
    try check(gnutls_certificate_allocate_credentials(&certificate))
    var status = gnutls_priority_init(&priority, text, nil)
    if status >= 0 { status = fill(certificate!) }
    guard status >= 0 else {
        gnutls_certificate_free_credentials(certificate)
        gnutls_priority_deinit(priority)
        throw TLSError(code: status)
    }
    return (certificate!, priority!)
}

func withDatum<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<gnutls_datum_t>) -> Result) -> Result {
    bytes.withUnsafeBytes { buffer in
        let start = UnsafeMutablePointer(mutating: buffer.bindMemory(to: UInt8.self).baseAddress)
        var datum = gnutls_datum_t(data: start, size: UInt32(buffer.count))
        return body(&datum)
    }
}
