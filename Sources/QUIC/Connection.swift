import CQUIC
import Crypto
import Glibc
import Platform

/// What happens on a connection. Called by the endpoint after a batch of packets.
public protocol ConnectionHandler: AnyObject {
    /// Both sides have proved their keys.
    func connectionEstablished(_ connection: Connection)
    /// The peer has opened a stream; set its handler.
    func connection(_ connection: Connection, opened stream: Stream)
    /// The peer allows more streams.
    func connectionAllowsStreams(_ connection: Connection)
    /// The connection goes on along another path.
    func connectionMoved(_ connection: Connection)
    /// The connection has heard nothing for a while although something has been sent that wants an answer: its path may be dead. Called
    /// again, ever more rarely, as long as that goes on. Only a client can do something about the path.
    func connectionIsSilent(_ connection: Connection)
    /// A path that the client opened with ``Connection/migrate(to:validatingFirst:now:)`` was found to work, or not to.
    func connection(_ connection: Connection, validated path: NetworkPath, success: Bool)
    /// The connection has ended. Its streams have been told before.
    func connectionClosed(_ connection: Connection, reason: CloseReason)
}

extension ConnectionHandler {
    public func connectionIsSilent(_ connection: Connection) {}
    public func connection(_ connection: Connection, validated path: NetworkPath, success: Bool) {}
}

/// One QUIC connection. Made by an ``Endpoint``.
public final class Connection {
    unowned let endpoint: Endpoint
    public let isServer: Bool
    public var handler: (any ConnectionHandler)?

    package var handle: OpaquePointer!
    var names: PathNames
    /// The ids under which packets find this connection.
    var ids: Set<ConnectionID> = []
    var streams: [Int64: Stream] = [:]
    /// Streams with something to send, taken in turn.
    var sendList: [Stream] = []
    /// Streams and facts that handlers have yet to hear of.
    var readyStreams: [Stream] = []
    private var readyRound: [Stream] = []
    var openedStreams: [Stream] = []
    var pendingEstablished = false
    var pendingStreamsAllowed = false
    var pendingMoved = false
    var pendingSilent = false
    private var pendingValidations: [(path: NetworkPath, success: Bool)] = []

    var isInSendList = false
    var isInReadyList = false
    var deadline = Instant.never
    var deadlineIndex: Int?

    public private(set) var isEstablished = false
    public private(set) var isConfirmed = false
    public private(set) var closeReason: CloseReason?
    /// Set while the last news are delivered: a handler that closes the connection then is too late.
    var isEnding = false
    /// Since when something waits for an answer on the path in use and nothing has come.
    public private(set) var silentSince: Instant?
    /// When that has lasted so long that the path may be dead.
    private var silenceDue = Instant.never
    /// When something last came along the path in use.
    public private(set) var lastHeard = Instant(nanoseconds: 0)
    /// How long a pause may last before we ask whether the peer is still there; only varied at a client.
    private var watchfulness: Duration
    /// Whether it has lasted so long that a PING is due.
    private var isPauseOver = false
    /// Bytes sent since the pacer was last told; see `write`.
    var unpaced = 0
    /// Of these, what was sent before there was anything to pace by.
    var unhurried = 0
    /// Packets read, and bytes consumed, since the connection was last written.
    var unanswered = 0
    var ungranted: UInt64 = 0
    /// Bytes that wait for readers, on all streams together, and those of them whose connection credit the peer has yet to get back.
    private var held: UInt64 = 0
    private var owed: UInt64 = 0
    /// Streams of the peer that are gone and for which it has yet to be allowed others.
    private var unreplaced: UInt64 = 0

    init(endpoint: Endpoint, isServer: Bool, path: NetworkPath, destination: ConnectionID) {
        self.endpoint = endpoint
        self.isServer = isServer
        names = PathNames(path, destination: destination, name: endpoint.freshPathName())
        watchfulness = endpoint.configuration.keepAlive
    }

    deinit { if let handle { keyhole_quic_free(handle) } }

    var owner: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    /// The key that the peer has proved to own; nil before the handshake.
    public private(set) var peer: PublicKey?
    /// The application protocol agreed on; empty before the handshake.
    public private(set) var alpn = ""
    /// Secret bytes that the peer has too, as ``Configuration/exporter`` wants them; empty before the handshake.
    public private(set) var exported: [UInt8] = []
    /// Where packets go now.
    public var path: NetworkPath { names.currentPath }
    public var isClosed: Bool { closeReason != nil }
    public var streamCount: Int { streams.count }

    /// The smoothed round trip; nil before one was measured.
    public var roundTrip: Duration? {
        guard handle != nil, isEstablished else { return nil }
        return .nanoseconds(Int64(keyhole_quic_statistics(handle).smoothed_rtt))
    }

    /// The congestion window in bytes, as of the last round of sending.
    private(set) var congestionWindow = 0

    /// Opens a stream; the peer hears of it with the next flush. Nil while the peer allows no more:
    /// ``ConnectionHandler/connectionAllowsStreams(_:)`` tells when it does.
    public func openStream() -> Stream? {
        guard isEstablished, !isClosed else { return nil }
        var id: Int64 = -1
        guard keyhole_quic_open_stream(handle, &id, nil) == 0 else { return nil }
        let stream = register(id)
        stream.isUnannounced = true
        wantsToSend(stream)
        return stream
    }

    /// Ends a connection that no path is left for.
    public func abandon(now: Instant) {
        guard !isClosed else { return }
        endpoint.close(self, .noPath, now: now)
    }

    /// Ends the connection with an application code; 0 is an orderly end.
    public func close(code: UInt64, reason: String = "", now: Instant) {
        guard !isClosed else { return }
        endpoint.close(self, .application(code: code, reason: reason, byPeer: false), now: now)
    }

    /// At a client: goes on along another path, at once or after it was found to work. The streams don't notice (RFC 9000, section 9).
    ///
    /// - Parameter validatingFirst: Not for a path that is much slower than the one in use: the peer would misread the numbers of packets
    ///   that are overtaken (spec/path-migration.md, W4).
    /// - Returns: False while that is impossible: before the handshake is confirmed, or without a spare id of the peer, which comes a round
    ///   trip later.
    public func migrate(to path: NetworkPath, validatingFirst: Bool, now: Instant) -> Bool {
        guard !isServer, isConfirmed, !isClosed else { return false }
        let name = endpoint.freshPathName()
        guard keyhole_quic_migrate(handle, name, validatingFirst, now.nanoseconds) == 0 else { return false }
        names.add(path, destination: ConnectionID(bytes: []), name: name)
        if !validatingFirst {
            (silentSince, silenceDue) = (nil, .never)
            watch(min(Self.pauseAfterMove, endpoint.configuration.keepAlive))
        }
        notePath()
        endpoint.wantsToSend(self)
        return true
    }

    /// Follows ngtcp2 to the path in use.
    private func notePath() {
        guard names.setCurrent(keyhole_quic_current_name(handle)) else { return }
        endpoint.counters.pathChanges += 1
        pendingMoved = true
        endpoint.hasNews(self)
    }

    /// Whether any stream is open, of either end.
    public var hasStreams: Bool { !streams.isEmpty }

    func register(_ id: Int64) -> Stream {
        let stream = Stream(id: id, connection: self)
        streams[id] = stream
        keyhole_quic_set_stream_owner(handle, id, Unmanaged.passUnretained(stream).toOpaque())
        return stream
    }

    // What streams ask for

    func wantsToSend(_ stream: Stream) {
        guard !isClosed else { return }
        if !stream.isInSendList && stream.hasSomethingToSend {
            stream.isInSendList = true
            sendList.append(stream)
        }
        endpoint.wantsToSend(self)
    }

    func hasNews(_ stream: Stream) {
        guard !stream.isInReadyList else { return }
        stream.isInReadyList = true
        readyStreams.append(stream)
    }

    /// Bytes have arrived and wait. The peer gets its connection credit back at once as long as little waits, so that a stream nobody
    /// reads does not stop the others; what one stream may bring is limited by its own window.
    func holds(_ count: UInt64) {
        held += count
        if held <= endpoint.configuration.connectionWindowLimit { credit(count) } else { owed += count }
    }

    /// Waiting bytes have been read.
    func consumed(_ stream: Stream, _ count: UInt64) {
        guard !isClosed else { return }
        if !stream.isClosed { keyhole_quic_consumed(handle, stream.id, count) }
        discarded(count)
    }

    /// Waiting bytes are no longer wanted.
    func discarded(_ count: UInt64) {
        guard !isClosed, count > 0 else { return }
        held -= count
        let due = min(owed, count)
        owed -= due
        credit(due)
        // The peer is told when enough has come together, or with what is sent anyway.
        ungranted += count
        if ungranted >= endpoint.configuration.streamWindow / 4 { endpoint.wantsToSend(self) }
    }

    private func credit(_ count: UInt64) {
        if count > 0 { keyhole_quic_consumed_connection(handle, count) }
    }

    func reset(_ stream: Stream, _ code: UInt64) {
        guard !isClosed else { return }
        keyhole_quic_reset_stream(handle, stream.id, code)
        endpoint.wantsToSend(self)
    }

    func stopSending(_ stream: Stream, _ code: UInt64) {
        guard !isClosed else { return }
        keyhole_quic_stop_sending(handle, stream.id, code)
        endpoint.wantsToSend(self)
    }

    func replace(_ stream: Stream) {
        guard !isClosed, (stream.id & 1 == 0) == isServer else { return }
        unreplaced += 1
        // A MAX_STREAMS for each stream would be a packet for each small request.
        guard unreplaced >= max(1, endpoint.configuration.streams / 4) else { return }
        keyhole_quic_allow_streams(handle, unreplaced)
        unreplaced = 0
        endpoint.wantsToSend(self)
    }

    // What the handlers of CQUIC bring

    func handshakeCompleted() {
        isEstablished = true
        endpoint.counters.connections += 1
        var key = [UInt8](repeating: 0, count: 32)
        if keyhole_quic_peer_key(handle, &key) { peer = PublicKey(bytes: key) }
        var name: UnsafePointer<UInt8>?
        let length = keyhole_quic_alpn(handle, &name)
        alpn = String(decoding: UnsafeBufferPointer(start: name, count: length), as: UTF8.self)
        exportKeys()
        pendingEstablished = true
    }

    private func exportKeys() {
        guard let (label, length) = endpoint.configuration.exporter else { return }
        var bytes = [UInt8](repeating: 0, count: length)
        if keyhole_quic_export(handle, label, label.utf8.count, &bytes, length) { exported = bytes }
    }

    func handshakeConfirmed() { isConfirmed = true }

    func streamOpened(_ id: Int64) { openedStreams.append(register(id)) }

    func streamClosed(_ id: Int64) { streams.removeValue(forKey: id)?.closedByLibrary() }

    func pathValidated(_ name: UInt64, success: Bool) {
        guard let path = names.path(named: name) else { return }
        pendingValidations.append((path, success))
        endpoint.hasNews(self)
    }

    /// Reads one packet. Returns a library error, 0 if there is none.
    func read(_ packet: UnsafeRawBufferPointer, on path: NetworkPath, destination: ConnectionID, ecn: UInt8, now: Instant) -> Int32 {
        let known = isServer ? names.name(for: path, destination: destination, isEstablished: isEstablished, fresh: endpoint.freshPathName) : names.name(for: path)
        // A client's server does not come from elsewhere (RFC 9000, section 9).
        guard let name = known else { return 0 }
        let bytes = packet.bindMemory(to: UInt8.self).baseAddress
        let status = keyhole_quic_read(handle, name, ecn, bytes, packet.count, now.nanoseconds)
        guard status == 0 else { return status }
        if name != names.currentName { notePath() }
        if name == names.currentName { (silentSince, silenceDue, lastHeard) = (nil, .never, now) }
        return 0
    }

    /// Notes what writing has changed.
    func noteWritten(now: Instant) -> keyhole_quic_statistics {
        let statistics = keyhole_quic_statistics(handle)
        congestionWindow = Int(statistics.congestion_window)
        if isPauseOver {
            // The PING has been written.
            isPauseOver = false
            if watchfulness < endpoint.configuration.keepAlive { watch(min(watchfulness * 2, endpoint.configuration.keepAlive)) }
        }
        if isServer ? isEstablished : isConfirmed, silentSince == nil, statistics.bytes_in_flight > 0 {
            silentSince = now
            // Three probe time-outs: a packet may be lost, and the first probe for it.
            silenceDue = now + max(.nanoseconds(Int64(3 * statistics.probe_timeout)), Self.leastSilence)
        }
        notePath()
        return statistics
    }

    /// Who only receives sends nothing that wants an answer, and would not notice that the path has died. So the first pause after data
    /// has come is short, and each one after it is twice as long, up to the keep-alive.
    private static let firstPause: Duration = .milliseconds(500)

    /// The peer follows to another path when a PING comes along it, which has to be sent when there is nothing else to send.
    private static let pauseAfterMove: Duration = .milliseconds(10)

    /// A stream's bytes have come.
    func noteData() {
        guard !isServer, watchfulness != Self.firstPause else { return }
        watch(min(Self.firstPause, endpoint.configuration.keepAlive))
    }

    private func watch(_ pause: Duration) {
        watchfulness = pause
        keyhole_quic_set_keep_alive(handle, UInt64(pause.nanoseconds))
    }

    /// When ngtcp2 or we have something to do.
    var nextDeadline: Instant { min(Instant(nanoseconds: keyhole_quic_expiry(handle)), silenceDue) }

    /// Something was due.
    func noteExpiry(now: Instant) {
        isPauseOver = !isServer && now - lastHeard >= watchfulness
        guard let silentSince, silenceDue <= now else { return }
        // Each time it lasts twice as long.
        silenceDue = now + (now - silentSince)
        pendingSilent = true
        endpoint.hasNews(self)
    }

    /// A path with a round trip of some milliseconds is not given up for a pause that any scheduler may make.
    private static let leastSilence: Duration = .milliseconds(250)

    /// Tells handlers what has happened, streams first opened first.
    func deliver() {
        isInReadyList = false
        if pendingEstablished {
            pendingEstablished = false
            handler?.connectionEstablished(self)
        }
        if pendingMoved {
            pendingMoved = false
            handler?.connectionMoved(self)
        }
        if !pendingValidations.isEmpty {
            let validations = pendingValidations
            pendingValidations = []
            for (path, success) in validations { handler?.connection(self, validated: path, success: success) }
        }
        if pendingSilent {
            pendingSilent = false
            handler?.connectionIsSilent(self)
        }
        if !openedStreams.isEmpty {
            let opened = openedStreams
            openedStreams = []
            for stream in opened { handler?.connection(self, opened: stream) }
        }
        while !readyStreams.isEmpty {
            swap(&readyStreams, &readyRound)
            for stream in readyRound {
                stream.isInReadyList = false
                stream.deliver()
            }
            readyRound.removeAll(keepingCapacity: true)
        }
        if pendingStreamsAllowed {
            pendingStreamsAllowed = false
            handler?.connectionAllowsStreams(self)
        }
    }

    /// Marks the connection ended, frees what ngtcp2 and GnuTLS hold, and tells the handlers.
    func end(_ reason: CloseReason) {
        guard closeReason == nil else { return }
        deliver()
        closeReason = reason
        keyhole_quic_free(handle)
        handle = nil
        sendList.removeAll()
        let lost = streams.values
        streams.removeAll()
        for stream in lost {
            stream.isClosed = true
            stream.handler?.streamLost(stream, reason: reason)
            stream.handler = nil
        }
        handler?.connectionClosed(self, reason: reason)
        handler = nil
    }
}

extension Stream {
    fileprivate func deliver() {
        if pendingReset, let resetCode {
            pendingReset = false
            pendingReadable = false
            handler?.streamReset(self, code: resetCode)
        }
        if pendingReadable {
            pendingReadable = false
            handler?.streamReadable(self)
        }
        if pendingStop, let stopCode {
            pendingStop = false
            pendingWritable = false
            handler?.streamStopped(self, code: stopCode)
        }
        if pendingWritable {
            pendingWritable = false
            handler?.streamWritable(self)
        }
        if pendingClosed {
            pendingClosed = false
            handler?.streamClosed(self)
        }
    }
}
