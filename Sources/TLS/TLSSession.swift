import CGnuTLS

/// An end of TLS on a non-blocking socket, which stays its owner's.
public final class TLSSession {
    /// What reading brought.
    public enum Received: Equatable { case bytes(Int), nothingYet, end }

    /// Plain bytes of a record (RFC 8446, 5.1).
    public static let largestRecord = 16384

    private let session: gnutls_session_t
    // The session refers to them.
    private let credentials: AnyObject
    /// Whom a client wants.
    private let peer: TLSIdentity?
    public private(set) var isEstablished = false

    /// The server's end.
    public init(_ credentials: TLSCredentials, socket: Int32) throws(TLSError) {
        var session: gnutls_session_t?
        try check(gnutls_init(&session, keyhole_tls_server_flags()))
        self.session = session!
        self.credentials = credentials
        peer = nil
        try use(credentials.certificate, credentials.priority, socket: socket)
    }

    /// The client's end.
    ///
    /// - Parameters:
    ///   - peer: Whom to accept, of the kind that `trust` is for. The handshake fails with anybody else.
    ///   - name: The name of the server as it is told to it, for it may have several (RFC 6066, section 3).
    public init(to peer: TLSIdentity, named name: String, by trust: TLSTrust, socket: Int32) throws(TLSError) {
        var session: gnutls_session_t?
        try check(gnutls_init(&session, keyhole_tls_client_flags()))
        self.session = session!
        credentials = trust
        self.peer = peer
        try use(trust.certificate, trust.priority, socket: socket)
        try check(gnutls_server_name_set(self.session, GNUTLS_NAME_DNS, name, name.utf8.count))
        if let protocolName = trust.protocolName {
            try check(withDatum(Array(protocolName.utf8)) { gnutls_alpn_set_protocols(self.session, $0, 1, 0) })
        }
    }

    private func use(_ certificate: gnutls_certificate_credentials_t, _ priority: gnutls_priority_t, socket: Int32) throws(TLSError) {
        try check(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(certificate)))
        try check(gnutls_priority_set(session, priority))
        gnutls_transport_set_int2(session, socket, socket)
    }

    deinit { gnutls_deinit(session) }

    /// Goes on with the handshake; false when it has to wait for the other end.
    ///
    /// - Throws: ``TLSError`` with ``TLSError/isImpostor`` when the server is not who was wanted. Nothing of ours has been sent to it then.
    public func handshake() throws(TLSError) -> Bool {
        while true {
            let status = gnutls_handshake(session)
            if status == GNUTLS_E_SUCCESS {
                // That the server owns what it shows has been proved by now.
                do throws(TLSError) { try peer?.check(session) } catch {
                    gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE)
                    throw error
                }
                isEstablished = true
                return true
            }
            if status == GNUTLS_E_AGAIN { return false }
            // Warnings are not the end of a handshake.
            if status < 0, gnutls_error_is_fatal(status) != 0 {
                gnutls_alert_send_appropriate(session, status)
                var error = TLSError(code: status)
                if status == GNUTLS_E_FATAL_ALERT_RECEIVED, let name = gnutls_alert_get_name(gnutls_alert_get(session)) {
                    error.words = "refused with TLS alert \"\(String(cString: name))\""
                }
                throw error
            }
        }
    }

    /// Whether the socket has to become writable, rather than readable, before the last call can go on.
    public var wantsToWrite: Bool { gnutls_record_get_direction(session) == 1 }

    /// Reads plain bytes, one record's at most.
    public func receive(_ buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Received {
        while true {
            let count = gnutls_record_recv(session, buffer.baseAddress, buffer.count)
            if count > 0 { return .bytes(count) }
            switch Int32(count) {
            case 0, GNUTLS_E_PREMATURE_TERMINATION: return .end
            case GNUTLS_E_AGAIN: return .nothingYet
            case GNUTLS_E_INTERRUPTED: continue
            case let status where gnutls_error_is_fatal(status) == 0 && status != GNUTLS_E_REHANDSHAKE: continue
            case let status: throw TLSError(code: status)
            }
        }
    }

    /// Whether bytes have been taken from the socket that ``receive(_:)`` has yet to give.
    public var hasPending: Bool { gnutls_record_check_pending(session) > 0 }

    /// Sends plain bytes, as many as go into one record. After nil the same bytes have to be sent again.
    public func send(_ bytes: UnsafeRawBufferPointer) throws(TLSError) -> Int? {
        while true {
            let count = gnutls_record_send(session, bytes.baseAddress, bytes.count)
            if count >= 0 { return count }
            switch Int32(count) {
            case GNUTLS_E_AGAIN: return nil
            case GNUTLS_E_INTERRUPTED: continue
            case let status: throw TLSError(code: status)
            }
        }
    }

    /// Tells the other end that nothing more comes. False when the socket takes no more now: it has to be called again.
    @discardableResult
    public func sendEnd() -> Bool { gnutls_bye(session, GNUTLS_SHUT_WR) != GNUTLS_E_AGAIN }

    /// Keying material that only the two ends of this connection have (RFC 5705; RFC 8446, 7.5); nil before the handshake is over.
    public func exportKeyingMaterial(label: String, context: [UInt8], count: Int) -> [UInt8]? {
        guard isEstablished else { return nil }
        var label = label
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let status = label.withUTF8 { label in
                label.withMemoryRebound(to: CChar.self) { label in
                    context.withUnsafeBytes { context in
                        buffer.withMemoryRebound(to: CChar.self) { output in
                            gnutls_prf_rfc5705(
                                session, label.count, label.baseAddress, context.count, context.baseAddress?.assumingMemoryBound(to: CChar.self),
                                count, output.baseAddress)
                        }
                    }
                }
            }
            failed = status < 0
            initialized = failed ? 0 : count
        }
        return failed ? nil : bytes
    }
}
