import CQUIC
import Crypto
import Platform

/// How many stateless resets may be sent: they answer packets that anybody may have made up.
struct ResetBudget {
    /// Enough for every client of a restarted listener within a few seconds, too few to be of use against somebody.
    private static let perSecond = 200

    private var second: UInt64 = 0
    private var spent = 0

    mutating func spend(now: Instant) -> Bool {
        let present = now.nanoseconds / 1_000_000_000
        if present != second { (second, spent) = (present, 0) }
        spent += 1
        return spent <= Self.perSecond
    }
}

extension Endpoint {
    /// A client has this long to come back with a Retry token.
    private static let retryLifetime: UInt64 = 10_000_000_000
    /// Initials shorter than this are refused, so that nobody can be made to answer more than he got (RFC 9000, section 14.1).
    private static let leastInitial = 1200
    /// A stateless reset looks like a short packet: 5 unpredictable bytes at least before the token (RFC 9000, section 10.3), and it must be
    /// shorter than what it answers, or two endpoints could reset each other for ever.
    private static let leastReset = 21
    private static let usualReset = 43

    /// A long-header packet whose destination id is unknown: perhaps a new client.
    func accept(
        _ datagram: UnsafeRawBufferPointer, _ header: keyhole_quic_header, _ id: ConnectionID, on path: NetworkPath, ecn: UInt8, now: Instant
    ) {
        guard acceptor != nil, datagram.count >= Self.leastInitial else { return }
        guard !header.unknown_version else {
            answer(on: path) { keyhole_quic_write_version_negotiation($0, $1, [header], randomBytes(1)[0]) }
            return
        }
        let bytes = datagram.bindMemory(to: UInt8.self)
        var token: UnsafePointer<UInt8>?
        var tokenLength = 0
        guard keyhole_quic_is_initial(bytes.baseAddress, bytes.count, &token, &tokenLength), let scid = ConnectionID(header.scid, count: header.scid_length)
        else { return }

        var original = id
        var isRetried = false
        if tokenLength > 0 {
            var found = keyhole_quic_cid()
            let status = path.withProvedBytes { address, length in
                keyhole_quic_verify_retry_token(&found, token, tokenLength, retrySecret, [header], address, length, Self.retryLifetime, now.nanoseconds)
            }
            if status == 0 { (original, isRetried) = (ConnectionID(found), true) }
        }
        guard handshakes < configuration.handshakeLimit, connectionCount < configuration.connectionLimit else { return }
        if !isRetried && handshakes >= configuration.retryThreshold {
            let fresh = ConnectionID(bytes: randomBytes(ConnectionID.issuedLength))
            var raw = fresh.raw
            path.withProvedBytes { address, length in
                answer(on: path) { keyhole_quic_write_retry($0, $1, [header], retrySecret, address, length, &raw, now.nanoseconds) }
            }
            return
        }
        let ours = ConnectionID(bytes: randomBytes(ConnectionID.issuedLength))
        let connection = Connection(endpoint: self, isServer: true, path: path, destination: id)
        let made = withConfiguration(connection, serverCredentials, alpn: alpnNames, now: now) { raw in
            raw.scid = ours.raw
            raw.dcid = scid.raw
            raw.original_dcid = original.raw
            raw.retried = isRetried
            raw.retry_scid = id.raw
            raw.version = header.version
            // The token is only given to ngtcp2 when it is ours: it lifts the limit on what may be sent to an unproved address.
            if isRetried { (raw.token, raw.token_length) = (token, tokenLength) }
            return keyhole_quic_server(&raw)
        }
        guard made else { return }
        register(ours, for: connection)
        // Under the client's own first id too: its copies that come along other paths belong to this connection.
        register(id, for: connection)
        handshakes += 1
        connectionCount += 1
        read(datagram, by: connection, id, on: path, isLong: true, ecn: ecn, now: now)
    }

    /// A short-header packet of a connection that nobody knows: its sender has missed our restart.
    func resetUnknown(_ header: keyhole_quic_header, size: Int, on path: NetworkPath, now: Instant) {
        guard acceptor != nil, size > Self.leastReset, resets.spend(now: now) else { return }
        let length = min(Self.usualReset, size - 1)
        let random = randomBytes(length - keyhole_quic_reset_token_size)
        answer(on: path) { destination, _ in
            keyhole_quic_write_stateless_reset(destination, length, resetSecret, header.dcid, header.dcid_length, random, random.count)
        }
    }

    private func answer(on path: NetworkPath, _ body: (UnsafeMutablePointer<UInt8>?, Int) -> Int) {
        let capacity = keyhole_quic_packet_capacity
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { memory, count in count = max(0, body(memory.baseAddress, capacity)) }
        if !bytes.isEmpty { answers.append((bytes, path)) }
    }
}
