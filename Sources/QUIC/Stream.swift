import CQUIC
import Glibc
import Platform

/// What happens on a stream. Called by the endpoint after a batch of packets, never from inside another call to the stream.
public protocol StreamHandler: AnyObject {
    /// There are bytes to read, or the peer has finished: ``Stream/isReadFinished``.
    func streamReadable(_ stream: Stream)
    /// There is room to write again.
    func streamWritable(_ stream: Stream)
    /// The peer has reset its direction; nothing more will come.
    func streamReset(_ stream: Stream, code: UInt64)
    /// The peer wants no more bytes (STOP_SENDING); writing is over.
    func streamStopped(_ stream: Stream, code: UInt64)
    /// Both directions have ended and the peer has confirmed all of it. Received bytes may still wait to be read.
    func streamClosed(_ stream: Stream)
    /// The connection has ended and the stream with it.
    func streamLost(_ stream: Stream, reason: CloseReason)
}

/// A bidirectional QUIC stream: two directions, each ended on its own.
public final class Stream {
    /// Bytes kept for sending at least and at most: what is not yet acknowledged plus what waits. In between it is twice the congestion
    /// window, so that the window can always be filled and a slow path does not hoard.
    private static let leastSendBuffer = 256 << 10
    private static let mostSendBuffer = 16 << 20

    public let id: Int64
    public let connection: Connection
    public var handler: (any StreamHandler)?

    var received: ByteQueue
    var sending: ByteQueue

    /// What the handler has yet to hear of.
    var pendingReadable = false
    var pendingWritable = false
    var pendingReset = false
    var pendingStop = false
    var pendingClosed = false
    /// The code with which the peer has reset its direction, or stopped ours.
    public private(set) var resetCode: UInt64?
    public private(set) var stopCode: UInt64?
    var isInReadyList = false

    var isInSendList = false
    /// Opened by us and not yet known to the peer, who may be the one to speak first: a frame without bytes tells it (RFC 9000, 2.1).
    var isUnannounced = false
    /// Set when the handler found no room and wants to hear when there is.
    private var wantsRoom = false
    private var finishRequested = false
    private var finishSent = false
    private(set) var finReceived = false
    /// Set when no byte can be sent any more: reset by us or stopped by the peer.
    private(set) var isWriteOver = false
    private(set) var isReadOver = false
    /// ngtcp2 has forgotten the stream; received bytes may still wait here.
    public internal(set) var isClosed = false
    private var isReplaced = false

    init(id: Int64, connection: Connection) {
        self.id = id
        self.connection = connection
        received = ByteQueue(pool: connection.endpoint.pool)
        sending = ByteQueue(pool: connection.endpoint.pool)
    }

    // Reading

    /// Bytes waiting to be read.
    public var readableCount: Int { received.count }
    /// Whether the peer has finished and everything has been read.
    public var isReadFinished: Bool { finReceived && received.count == 0 }

    /// Lets `body` use the waiting bytes, up to 16 pieces of them, and say how many it is done with. Those are dropped, and the peer may
    /// send as many more.
    public func read(_ body: (UnsafeMutableBufferPointer<iovec>) -> Int) {
        guard received.count > 0 else { return }
        let done = withUnsafeTemporaryAllocation(of: iovec.self, capacity: 16) { vectors in
            body(UnsafeMutableBufferPointer(rebasing: vectors[..<received.fill(vectors, fromCursor: false)]))
        }
        guard done > 0 else { return }
        received.drop(done)
        connection.consumed(self, UInt64(done))
        replaceIfDone()
    }

    /// Wants no more bytes: what waits is dropped and the peer is asked to stop (STOP_SENDING).
    public func stopReading(code: UInt64) {
        guard !isReadOver else { return }
        isReadOver = true
        discardReceived()
        if !finReceived && !isClosed { connection.stopSending(self, code) }
        replaceIfDone()
    }

    // Writing

    /// Bytes that may be written now.
    public var writableCount: Int {
        if isWriteOver || finishRequested { return 0 }
        let most = min(Self.mostSendBuffer, max(Self.leastSendBuffer, 2 * connection.congestionWindow))
        return max(0, most - sending.count)
    }

    /// Lets `body` write into free memory, never more than ``writableCount``, and say how many bytes it wrote. `body` must not touch the
    /// stream.
    public func write(_ body: (UnsafeMutableRawBufferPointer) -> Int) {
        let room = writableCount
        guard room > 0 else { return }
        let written = sending.withFreeSpace { space in
            body(UnsafeMutableRawBufferPointer(rebasing: space.prefix(room)))
        }
        if written > 0 { connection.wantsToSend(self) }
    }

    /// Copies bytes to be sent.
    public func write(_ bytes: [UInt8]) {
        guard !isWriteOver, !finishRequested else { return }
        bytes.withUnsafeBytes { sending.append($0) }
        connection.wantsToSend(self)
    }

    /// Asks for ``StreamHandler/streamWritable(_:)`` when there is room again.
    public func waitForRoom() { wantsRoom = true }

    /// No more bytes will be written; the peer hears it after the last one (FIN).
    public func finish() {
        guard !finishRequested, !isWriteOver else { return }
        finishRequested = true
        connection.wantsToSend(self)
    }

    /// Gives up writing at once (RESET_STREAM).
    public func reset(code: UInt64) {
        guard !isWriteOver, !isClosed else { return }
        endWriting()
        connection.reset(self, code)
    }

    // For the connection

    var hasSomethingToSend: Bool {
        !isWriteOver && !isClosed && (sending.unsent > 0 || finishRequested && !finishSent || isUnannounced)
    }
    var finishesAfterUnsent: Bool { finishRequested }

    func sent(_ count: Int, fin: Bool) {
        isUnannounced = false
        sending.advance(count)
        if fin && sending.unsent == 0 { finishSent = true }
    }

    func acknowledged(_ count: UInt64) {
        sending.drop(Int(count))
        if wantsRoom && writableCount >= BlockPool.blockSize {
            wantsRoom = false
            pendingWritable = true
            connection.hasNews(self)
        }
    }

    func arrived(_ bytes: UnsafeRawBufferPointer, fin: Bool) {
        connection.holds(UInt64(bytes.count))
        if isReadOver {
            connection.discarded(UInt64(bytes.count))
        } else {
            received.append(bytes)
        }
        if fin { finReceived = true }
        connection.noteData()
        pendingReadable = true
        connection.hasNews(self)
    }

    func resetByPeer(_ code: UInt64) {
        guard !isReadFinished else { return }
        isReadOver = true
        discardReceived()
        resetCode = code
        pendingReset = true
        connection.hasNews(self)
    }

    func stoppedByPeer(_ code: UInt64) {
        guard !isWriteOver else { return }
        endWriting()
        stopCode = code
        pendingStop = true
        connection.hasNews(self)
    }

    func closedByLibrary() {
        isClosed = true
        sending.removeAll()
        pendingClosed = true
        connection.hasNews(self)
        replaceIfDone()
    }

    private func endWriting() {
        isWriteOver = true
        // ngtcp2 still holds pointers to what was sent; it lets go of them in its close callback.
    }

    private func discardReceived() {
        let waiting = received.count
        guard waiting > 0 else { return }
        received.removeAll()
        connection.discarded(UInt64(waiting))
    }

    /// The peer may open another stream when this one is gone on both sides, its bytes delivered included: so the number of open streams
    /// bounds the work that waits here.
    private func replaceIfDone() {
        guard isClosed, received.count == 0, !isReplaced else { return }
        isReplaced = true
        connection.replace(self)
    }
}
