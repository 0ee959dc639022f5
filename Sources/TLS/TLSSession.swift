import CGnuTLS

/// The server's end of TLS on a non-blocking socket, which stays its owner's.
public final class TLSSession {
    /// What reading brought.
    public enum Received: Equatable { case bytes(Int), nothingYet, end }

    /// Plain bytes of a record (RFC 8446, 5.1).
    public static let largestRecord = 16384

    private let session: gnutls_session_t
    // The session refers to them.
    private let credentials: TLSCredentials
    public private(set) var isEstablished = false

    public init(_ credentials: TLSCredentials, socket: Int32) throws(TLSError) {
        var session: gnutls_session_t?
        try check(gnutls_init(&session, keyhole_tls_server_flags()))
        self.session = session!
        self.credentials = credentials
        try check(gnutls_credentials_set(self.session, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials.certificate)))
        try check(gnutls_priority_set(self.session, credentials.priority))
        gnutls_transport_set_int2(self.session, socket, socket)
    }

    deinit { gnutls_deinit(session) }

    /// Goes on with the handshake; false when it has to wait for the client.
    public func handshake() throws(TLSError) -> Bool {
        while true {
            let status = gnutls_handshake(session)
            if status == GNUTLS_E_SUCCESS {
                isEstablished = true
                return true
            }
            if status == GNUTLS_E_AGAIN { return false }
            // Warnings are not the end of a handshake.
            if status < 0, gnutls_error_is_fatal(status) != 0 {
                gnutls_alert_send_appropriate(session, status)
                throw TLSError(code: status)
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

    /// Tells the client that nothing more comes, as far as the socket takes it.
    public func sendEnd() { gnutls_bye(session, GNUTLS_SHUT_WR) }

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
