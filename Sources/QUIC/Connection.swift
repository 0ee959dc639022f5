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
    /// The connection has ended. Its streams have been told before.
    func connectionClosed(_ connection: Connection, reason: CloseReason)
}

/// One QUIC connection. Made by an ``Endpoint``.
public final class Connection {
    unowned let endpoint: Endpoint
    public let isServer: Bool
    public var handler: (any ConnectionHandler)?

    var handle: OpaquePointer!
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

    var isInSendList = false
    var isInReadyList = false
    var deadline = Instant(nanoseconds: .max)
    var deadlineIndex: Int?

    public private(set) var isEstablished = false
    public private(set) var isConfirmed = false
    public private(set) var closeReason: CloseReason?
    /// Set while the last news are delivered: a handler that closes the connection then is too late.
    var isEnding = false
    /// Bytes sent since the pacer was last told; see `write`.
    var unpaced = 0
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
    }

    deinit { if let handle { keyhole_quic_free(handle) } }

    var owner: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    /// The key that the peer has proved to own; nil before the handshake.
    public private(set) var peer: PublicKey?
    /// The application protocol agreed on; empty before the handshake.
    public private(set) var alpn = ""
    /// Where packets go now.
    public var path: NetworkPath { names.currentPath }
    public var isClosed: Bool { closeReason != nil }

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

    /// Ends the connection with an application code; 0 is an orderly end.
    public func close(code: UInt64, reason: String = "", now: Instant) {
        guard !isClosed else { return }
        endpoint.close(self, .application(code: code, reason: reason, byPeer: false), now: now)
    }

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
        var key = [UInt8](repeating: 0, count: 32)
        if keyhole_quic_peer_key(handle, &key) { peer = PublicKey(bytes: key) }
        var name: UnsafePointer<UInt8>?
        let length = keyhole_quic_alpn(handle, &name)
        alpn = String(decoding: UnsafeBufferPointer(start: name, count: length), as: UTF8.self)
        pendingEstablished = true
    }

    func handshakeConfirmed() { isConfirmed = true }

    func streamOpened(_ id: Int64) { openedStreams.append(register(id)) }

    func streamClosed(_ id: Int64) { streams.removeValue(forKey: id)?.closedByLibrary() }

    /// Reads one packet. Returns a library error, 0 if there is none.
    func read(_ packet: UnsafeRawBufferPointer, on path: NetworkPath, destination: ConnectionID, ecn: UInt8, now: Instant) -> Int32 {
        let name = names.name(for: path, destination: destination, fresh: endpoint.freshPathName)
        return keyhole_quic_read(handle, Endpoint.localName, name, ecn, packet.bindMemory(to: UInt8.self).baseAddress, packet.count, now.nanoseconds)
    }

    func noteStatistics() -> keyhole_quic_statistics {
        let statistics = keyhole_quic_statistics(handle)
        congestionWindow = Int(statistics.congestion_window)
        return statistics
    }

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
