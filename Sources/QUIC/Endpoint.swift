import CQUIC
import Crypto
import Platform

/// Decides what becomes of new connections at a listening endpoint.
public protocol ConnectionAcceptor: AnyObject {
    /// A client has proved its key. Set the connection's handler; nothing was delivered to it before.
    func accepted(_ connection: Connection)
}

/// All QUIC connections of one key, as server and as client, without sockets and clocks: datagrams and times go in, datagrams and
/// calls to handlers come out.
///
/// After every batch of input call ``flush(to:now:)``, which delivers news and writes what can be sent, then wait until
/// ``deadline`` or the next input.
public final class Endpoint {
    /// Packets after which an acknowledgement goes out at once rather than with the next data or after 25 ms. The RFC's two would answer
    /// every small request with a packet of its own; a sender's first flight is ten, so this one never waits for us.
    private static let ackThreshold = 8
    /// An acknowledgement waits at least this long for something to go with, a tick of the timer.
    private static let ackPause: Duration = .milliseconds(1)

    public let configuration: Configuration
    public let publicKey: PublicKey
    let pool = BlockPool()
    let key: SecretKey
    let resetSecret: [UInt8]
    let retrySecret: [UInt8]
    let alpnNames: [UInt8]
    private(set) lazy var serverCredentials = Credentials(key, server: true)
    private lazy var clientCredentials = Credentials(key, server: false)

    /// Set to take connections; nil refuses them.
    public weak var acceptor: (any ConnectionAcceptor)?
    /// Whether clients may know a direct address, so that what came through a relay waits a moment for a copy that comes directly.
    public var expectsCopies = true
    /// Bytes of the id that a client gives the server in its first packet: long enough that nobody who has not seen the packet can answer it,
    /// and shorter than iroh's, by which a server of ours sees that it need not wait for copies.
    var firstIDLength = 16

    var connections: [ConnectionID: Connection] = [:]
    /// Connections that we began, among which a stateless reset looks for its own: the id in it is random.
    private var dialled: [Connection] = []
    var closed = ClosedConnections()
    private var deadlines = DeadlineHeap()
    private var sendList: [Connection] = []
    private var readyList: [Connection] = []
    /// The lists being worked off; kept, so that no round allocates.
    private var sendRound: [Connection] = []
    private var readyRound: [Connection] = []
    /// Datagrams that belong to no connection: Retry, version negotiation, resets, closes.
    var answers: [(bytes: [UInt8], path: NetworkPath)] = []
    private let buffer = PacketBuffer()
    private var lastPathName: UInt64 = 1
    /// First packets of clients that came through a relay and wait a moment for their copies that come directly.
    var held = HeldInitials()
    /// The time of the present call.
    private var clock = Instant(nanoseconds: 0)
    /// The connection of the packet before, which is most often that of this one too.
    private var lastFound: (id: ConnectionID, connection: Connection)?

    /// Server connections in their handshake, and all connections.
    var handshakes = 0
    public internal(set) var connectionCount = 0
    /// What has happened so far.
    public internal(set) var counters = EndpointCounters()
    var resets = ResetBudget()

    public init(key: SecretKey, configuration: Configuration) {
        precondition(configuration.isValid, "ALPN names have 1 to 255 bytes, and there are 1 to 16 of them")
        self.key = key
        self.configuration = configuration
        publicKey = key.publicKey
        // From the key, so that they outlive a restart: a reset by the next process is believed, a token given by the last one is taken.
        resetSecret = key.derivedSecret("keyhole stateless reset")
        retrySecret = key.derivedSecret("keyhole retry token")
        alpnNames = configuration.alpn.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    }

    func freshPathName() -> UInt64 {
        lastPathName += 1
        return lastPathName
    }

    // Input

    /// Takes one datagram that arrived on a socket.
    public func receive(_ datagram: UnsafeRawBufferPointer, on path: NetworkPath, ecn: UInt8, now: Instant) {
        clock = now
        take(datagram, on: path, ecn: ecn, mayHold: true, now: now)
    }

    /// - Parameter mayHold: Whether a client's first packet may be kept for a moment.
    func take(_ datagram: UnsafeRawBufferPointer, on path: NetworkPath, ecn: UInt8, mayHold: Bool, now: Instant) {
        let bytes = datagram.bindMemory(to: UInt8.self)
        var header = keyhole_quic_header()
        guard keyhole_quic_parse_header(&header, bytes.baseAddress, bytes.count, ConnectionID.issuedLength) == 0,
              let id = ConnectionID(header.dcid, count: header.dcid_length)
        else { return }
        if let connection = find(id) {
            read(datagram, by: connection, id, on: path, isLong: header.version != 0, ecn: ecn, now: now)
        } else if let answer = closed.answer(to: id) {
            if let answer { answers.append((answer, path)) }
        } else if header.version != 0 {
            if !mayHold || !hold(datagram, id, on: path, ecn: ecn, now: now) { accept(datagram, header, id, on: path, ecn: ecn, now: now) }
        } else if !offerReset(datagram, id, on: path, now: now) {
            resetUnknown(header, size: datagram.count, on: path, now: now)
        }
    }

    /// Gives a short packet with an unknown id, which may be a stateless reset, to the connections with its sender: ngtcp2 compares the
    /// token. Returns whether there are any.
    private func offerReset(_ datagram: UnsafeRawBufferPointer, _ id: ConnectionID, on path: NetworkPath, now: Instant) -> Bool {
        // Only on the path in use: a late packet to a retired id may be answered with a reset on the path before, which is no news
        // (spec/path-migration.md, W2).
        let candidates = dialled.filter { $0.path.leads(whereLeads: path) }
        for connection in candidates { read(datagram, by: connection, id, on: path, isLong: false, ecn: 0, now: now) }
        return !candidates.isEmpty
    }

    /// Does what was due by `now`.
    public func handleDeadline(now: Instant) {
        clock = now
        closed.removeExpired(now: now)
        acceptHeld(now: now)
        while let connection = deadlines.first, connection.deadline <= now {
            let isDue = keyhole_quic_expiry(connection.handle) <= now.nanoseconds
            let status = isDue ? keyhole_quic_handle_expiry(connection.handle, now.nanoseconds) : 0
            if status != 0 {
                fail(connection, status, now: now)
            } else {
                connection.noteExpiry(now: now)
                deadlines.update(connection, to: connection.nextDeadline)
                // Expiry without progress would spin: what is due now is done by writing, after which the deadline is read again.
                if connection.deadline <= now { deadlines.update(connection, to: now + .nanoseconds(1)) }
                wantsToSend(connection)
            }
        }
    }

    /// When ``handleDeadline(now:)`` is to be called; nil if nothing is due.
    public var deadline: Instant? {
        let first = min(deadlines.first?.deadline ?? .never, held.deadline ?? .never)
        return first == .never ? nil : first
    }

    // Output

    /// Delivers news to the handlers, then writes what can be sent. Handlers may ask for more to be sent meanwhile.
    ///
    /// - Returns: Whether the sink was full: call again when it takes more.
    public func flush(to sink: any DatagramSink, now: Instant) -> Bool {
        deliver()
        for (bytes, path) in answers { bytes.withUnsafeBytes { _ = sink.send($0, segmentSize: $0.count, on: path, ecn: 0) } }
        answers.removeAll(keepingCapacity: true)
        var isFull = false
        while !isFull, !sendList.isEmpty {
            swap(&sendList, &sendRound)
            defer { sendRound.removeAll(keepingCapacity: true) }
            for (index, connection) in sendRound.enumerated() {
                connection.isInSendList = false
                guard !connection.isClosed else { continue }
                switch connection.write(buffer, to: sink, now: now) {
                case .done: break
                case .more: wantsToSend(connection)
                case .full:
                    isFull = true
                    wantsToSend(connection)
                    for rest in sendRound[(index + 1)...] { rest.isInSendList = false; wantsToSend(rest) }
                case .failed(let status): fail(connection, status, now: now)
                }
                if !connection.isClosed {
                    // What is due just now ngtcp2 does once its time is past.
                    deadlines.update(connection, to: max(connection.nextDeadline, now + .nanoseconds(1)))
                }
                if isFull { break }
            }
            deliver()
        }
        return isFull
    }

    private func deliver() {
        while !readyList.isEmpty {
            swap(&readyList, &readyRound)
            for connection in readyRound where !connection.isClosed { connection.deliver() }
            readyRound.removeAll(keepingCapacity: true)
        }
    }

    func wantsToSend(_ connection: Connection) {
        guard !connection.isInSendList else { return }
        connection.isInSendList = true
        sendList.append(connection)
    }

    func hasNews(_ connection: Connection) {
        guard !connection.isInReadyList else { return }
        connection.isInReadyList = true
        readyList.append(connection)
    }

    // Connections

    /// Starts a connection to the owner of `peer`. Nothing is sent before the next ``flush(to:now:)``.
    public func connect(to peer: PublicKey, on path: NetworkPath, handler: any ConnectionHandler, now: Instant) -> Connection {
        let scid = ConnectionID(bytes: randomBytes(ConnectionID.issuedLength))
        let dcid = ConnectionID(bytes: randomBytes(firstIDLength))
        let connection = Connection(endpoint: self, isServer: false, path: path, destination: scid)
        connection.handler = handler
        let made = withConfiguration(connection, clientCredentials, alpn: alpnNames.prefixedName, now: now) { raw in
            raw.scid = scid.raw
            raw.dcid = dcid.raw
            return peer.bytes.withUnsafeBufferPointer { expected in
                raw.expected_key = expected.baseAddress
                return keyhole_quic_client(&raw)
            }
        }
        precondition(made, "out of memory")
        register(scid, for: connection)
        dialled.append(connection)
        connectionCount += 1
        wantsToSend(connection)
        return connection
    }

    /// Fills in what client and server connections share, and lets `body` make the connection.
    func withConfiguration(
        _ connection: Connection, _ credentials: Credentials, alpn: [UInt8], now: Instant,
        _ body: (inout keyhole_quic_configuration) -> OpaquePointer?
    ) -> Bool {
        var raw = keyhole_quic_configuration()
        raw.credentials = credentials.handle
        raw.handlers = Handlers.table
        raw.owner = connection.owner
        raw.name = connection.names.currentName
        raw.now = now.nanoseconds
        raw.initial_rtt = UInt64(configuration.initialRoundTrip.nanoseconds)
        raw.idle_timeout = UInt64(configuration.idleTimeout.nanoseconds)
        raw.handshake_timeout = UInt64(configuration.handshakeTimeout.nanoseconds)
        raw.keep_alive = UInt64(configuration.keepAlive.nanoseconds)
        raw.stream_window = configuration.streamWindow
        raw.stream_window_limit = configuration.streamWindowLimit
        raw.connection_window = configuration.connectionWindow
        raw.connection_window_limit = configuration.connectionWindowLimit
        raw.bidirectional_streams = configuration.streams
        raw.ack_threshold = Self.ackThreshold
        alpn.withUnsafeBufferPointer { names in
            resetSecret.withUnsafeBufferPointer { secret in
                raw.alpn = names.baseAddress
                raw.alpn_length = names.count
                raw.reset_secret = secret.baseAddress
                connection.handle = body(&raw)
            }
        }
        return connection.handle != nil
    }

    private func find(_ id: ConnectionID) -> Connection? {
        if let lastFound, lastFound.id == id { return lastFound.connection }
        guard let connection = connections[id] else { return nil }
        lastFound = (id, connection)
        return connection
    }

    func register(_ id: ConnectionID, for connection: Connection) {
        connection.ids.insert(id)
        connections[id] = connection
    }

    /// Packets to an id are still under way when it is retired. A reset that answers one of them would end the connection at the peer
    /// (spec/path-migration.md, W2).
    private static let retiredLifetime: Duration = .seconds(10)

    func retire(_ id: ConnectionID, of connection: Connection) {
        connection.ids.remove(id)
        closed.add(ids: [id], packet: [], until: clock + Self.retiredLifetime)
        connections[id] = nil
        if lastFound?.id == id { lastFound = nil }
    }

    func read(
        _ datagram: UnsafeRawBufferPointer, by connection: Connection, _ id: ConnectionID, on path: NetworkPath, isLong: Bool, ecn: UInt8,
        now: Instant
    ) {
        // iroh sends its Initial to every address it knows at once; only the copy that came first is answered, and the others are no
        // migration (spec/iroh-wire.md, 5.1). Handshake packets never move a connection (RFC 9000, section 9).
        if connection.isServer, isLong || !connection.isEstablished, path != connection.path { return }
        let wasEstablished = connection.isEstablished
        let status = connection.read(datagram, on: path, destination: id, ecn: ecn, now: now)
        hasNews(connection)
        if !wasEstablished && connection.isEstablished && connection.isServer {
            handshakes -= 1
            acceptor?.accepted(connection)
        }
        guard status == 0 else { return fail(connection, status, now: now) }
        connection.unanswered += 1
        if !connection.isConfirmed || !connection.sendList.isEmpty || connection.unanswered >= Self.ackThreshold {
            wantsToSend(connection)
        } else {
            // ngtcp2 acknowledges an eighth of a round trip later, which is at once where that is short: most often the answer to what
            // has come takes the acknowledgement along a moment later.
            deadlines.update(connection, to: max(connection.nextDeadline, now + Self.ackPause))
        }
    }

    // Endings

    /// Ends a connection after a library error.
    private func fail(_ connection: Connection, _ status: Int32, now: Instant) {
        let reason: CloseReason
        var tellPeer = true
        switch status {
        case keyhole_quic_draining:
            reason = connection.closeByPeer
            tellPeer = false
        case keyhole_quic_idle: (reason, tellPeer) = (.idle, false)
        case keyhole_quic_handshake_late: (reason, tellPeer) = (.handshakeTimeout, false)
        case keyhole_quic_drop, keyhole_quic_retry: (reason, tellPeer) = (.transport(code: 0x1, reason: "", byPeer: false), false)
        case keyhole_quic_version: (reason, tellPeer) = (.version, false)
        case keyhole_quic_broken:
            // Nothing can be said about it, but who sends more is told by a reset that the connection is gone.
            let text = String(cString: keyhole_quic_error_text(connection.handle, status))
            return end(connection, .transport(code: 0x1, reason: text, byPeer: false), packet: [], remembersIDs: false, now: now)
        default:
            if keyhole_quic_wrong_peer(connection.handle) {
                reason = .wrongPeer
            } else {
                let alert = UInt64(keyhole_quic_tls_alert(connection.handle))
                reason = .transport(code: alert == 0 ? 0x1 : 0x100 + alert, reason: String(cString: keyhole_quic_error_text(connection.handle, status)), byPeer: false)
            }
        }
        end(connection, reason, packet: tellPeer ? closePacket(connection, libraryError: status, now: now) : [], now: now)
    }

    func close(_ connection: Connection, _ reason: CloseReason, now: Instant) {
        var application: (UInt64, [UInt8])?
        if case .application(let code, let text, _) = reason { application = (code, Array(text.utf8.prefix(200))) }
        end(connection, reason, packet: closePacket(connection, application: application, now: now), now: now)
    }

    private func closePacket(
        _ connection: Connection, libraryError: Int32 = 0, application: (code: UInt64, reason: [UInt8])? = nil, now: Instant
    ) -> [UInt8] {
        let capacity = keyhole_quic_packet_capacity
        return [UInt8](unsafeUninitializedCapacity: capacity) { memory, count in
            let reason = application?.reason ?? []
            count = max(0, keyhole_quic_write_close(
                connection.handle, memory.baseAddress, capacity, application != nil, libraryError, application?.code ?? 0, reason, reason.count,
                now.nanoseconds))
        }
    }

    private func end(_ connection: Connection, _ reason: CloseReason, packet: [UInt8], remembersIDs: Bool = true, now: Instant) {
        guard !connection.isClosed, !connection.isEnding else { return }
        connection.isEnding = true
        let lingering = max(Duration.milliseconds(300), Duration.nanoseconds(Int64(3 * keyhole_quic_statistics(connection.handle).probe_timeout)))
        if !packet.isEmpty { answers.append((packet, connection.path)) }
        deadlines.remove(connection)
        for id in connection.ids { connections[id] = nil }
        lastFound = nil
        if !connection.isServer { dialled.removeAll { $0 === connection } }
        if remembersIDs { closed.add(ids: connection.ids, packet: packet, until: now + lingering) }
        if connection.isServer && !connection.isEstablished { handshakes -= 1 }
        connectionCount -= 1
        counters.count(reason, isEstablished: connection.isEstablished)
        connection.end(reason)
    }
}

extension Connection {
    /// What the peer said when it closed; a stateless reset says nothing.
    fileprivate var closeByPeer: CloseReason {
        var raw = keyhole_quic_close()
        keyhole_quic_received_close(handle, &raw)
        if !raw.received { return .reset }
        let reason = withUnsafeBytes(of: raw.reason) { String(decoding: $0.prefix(raw.reason_length), as: UTF8.self) }
        return raw.application
            ? .application(code: raw.code, reason: reason, byPeer: true) : .transport(code: raw.code, reason: reason, byPeer: true)
    }
}

extension [UInt8] {
    /// The first of length-prefixed names, with its length.
    fileprivate var prefixedName: [UInt8] { Array(prefix(1 + Int(self[0]))) }
}
