import CMicrohttpd
import EventLoop
import Glibc
import Platform

/// A small HTTP/1.1 server on an event loop, for short requests and short answers that may take a while to come by.
///
/// Under it is libmicrohttpd without threads, loaded when the first server starts. All that a client can make us keep is
/// bounded: connections, headers, body, time.
public final class HTTPServer {
    /// What clients may use.
    public struct Limits: Sendable {
        public var connections = 1000
        /// All clients behind one carrier's NAT share it; those behind a proxy, too, so a server behind one has none.
        public var connectionsPerAddress: Int? = 200
        /// A connection without traffic is closed. Longer than any answer takes.
        public var idle: Duration = .seconds(30)
        /// A connection on which no request has come in for so long is closed, traffic or not.
        public var request: Duration = .seconds(60)
        /// Bytes of a request's body; more is answered with 413.
        public var body: Int

        public init(body: Int) { self.body = body }
    }

    /// Request line and headers of one connection, in bytes. Browsers send at most some 4 KB.
    private static let connectionMemory = 16 * 1024

    /// The address it listens on.
    public let address: SocketAddress

    private let loop: EventLoop
    private let limits: Limits
    private let handler: (HTTPExchange) -> Void
    private var daemon: OpaquePointer?
    private var watcher: Watcher?
    private var timer: Timer?
    private var isRunning = false
    private var isClosing = false
    /// Connections have been woken up: the daemon has to run again, which its descriptor does not tell.
    private var hasResumed = false
    private var requests: [ObjectIdentifier: PendingRequest] = [:]
    private var slow = SlowConnections()
    private var slowTimer: Timer?
    private var draining: Timer?
    /// Connections that are open.
    public private(set) var connections = 0
    /// Connections opened since the start.
    public private(set) var accepted: UInt64 = 0

    /// Starts to serve at an address, see ``init(on:at:limits:handler:)``.
    public convenience init(
        on loop: EventLoop, bind address: SocketAddress, limits: Limits, handler: @escaping (HTTPExchange) -> Void
    ) throws(SystemError) {
        try self.init(on: loop, at: .address(address), limits: limits, handler: handler)
    }

    /// Starts to serve.
    ///
    /// - Parameter handler: Called from the loop once a request is complete; it answers then or later.
    /// - Throws: ``SystemError`` when the address can't be bound, of the call `dlopen` when libmicrohttpd is not installed.
    public init(
        on loop: EventLoop, at place: ListeningPlace, limits: Limits, handler: @escaping (HTTPExchange) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.limits = limits
        self.handler = handler
        if keyhole_mhd_load() != nil { throw SystemError(call: "dlopen", code: ELIBACC) }
        let listener = try place.tcpListener()
        self.address = try Sockets.localAddress(listener.number)
        var settings = keyhole_mhd_settings()
        settings.listener = listener.release()
        settings.most_connections = UInt32(limits.connections)
        settings.most_connections_per_address = UInt32(limits.connectionsPerAddress ?? 0)
        settings.idle_seconds = UInt32(max(1, limits.idle.components.seconds))
        settings.connection_memory = Self.connectionMemory
        settings.context = Unmanaged.passUnretained(self).toOpaque()
        settings.on_request = { context, connection, target, method, _, bytes, count, slot in
            HTTPServer.from(context).receive(connection!, target!, method!, bytes, count!, slot!)
        }
        settings.on_completed = { context, connection, slot, _ in
            guard let slot, let raw = slot.pointee else { return }
            slot.pointee = nil
            HTTPServer.from(context).forget(Unmanaged<PendingRequest>.fromOpaque(raw).takeUnretainedValue(), connection!)
        }
        settings.on_connection = { context, connection, _, code in
            HTTPServer.from(context).note(connection!, isOpen: code == .CONNECTION_NOTIFY_STARTED)
        }
        guard let daemon = keyhole_mhd_start(&settings) else { throw SystemError(call: "MHD_start_daemon", code: ENOMEM) }
        self.daemon = daemon
        timer = Timer(on: loop) { [unowned self] in run() }
        slowTimer = Timer(on: loop) { [unowned self] in closeOverdue() }
        watcher = try Watcher(on: loop, keyhole_mhd_epoll(daemon)) { [unowned self] _ in run() }
        watcher?.wait(for: .readable)
    }

    deinit { close() }

    /// Takes no more connections, and answers what is under way and the first request of connections that are there already; then, or
    /// after `patience`, calls `completion`, never from within this call. Others who hold the listening socket keep what waits on it.
    public func drain(patience: Duration, _ completion: @escaping () -> Void) {
        guard let daemon, draining == nil else { return }
        draining = Timer(on: loop, completion)
        draining?.start(after: connections == 0 ? .zero : patience)
        let listener = keyhole_mhd_quiesce(daemon)
        if listener >= 0 { Glibc.close(listener) }
        for request in requests.values { request.isLast = true }
        // A client that has asked again just now is answered, too.
        let asking = Set(requests.values.map(\.connection))
        // A client that has asked again just now is answered, too.
        for connection in slow.takeKept() where !asking.contains(connection) && !hasInput(connection) { end(connection) }
    }

    /// Stops listening and closes all connections. Requests not answered yet get 503.
    public func close() {
        guard let daemon else { return }
        // A connection that sleeps must not be left when the daemon stops; requests that come in the last round don't begin to.
        isClosing = true
        for request in requests.values { request.answer(HTTPAnswer(status: 503)) }
        keyhole_mhd_run(daemon)
        watcher?.cancel()
        timer?.stop()
        slowTimer?.stop()
        draining?.stop()
        self.daemon = nil
        keyhole_mhd_stop(daemon)
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPServer {
        Unmanaged<HTTPServer>.fromOpaque(context!).takeUnretainedValue()
    }

    private func run() {
        guard let daemon, !isRunning else { return }
        isRunning = true
        repeat {
            hasResumed = false
            keyhole_mhd_run(daemon)
        } while hasResumed
        isRunning = false
        // Idle connections have to be closed in time even when nothing happens on any of them.
        let milliseconds = keyhole_mhd_timeout(daemon)
        if milliseconds >= 0 { timer?.start(after: .milliseconds(milliseconds)) } else { timer?.stop() }
    }

    private func resume(_ connection: OpaquePointer) {
        keyhole_mhd_resume(connection)
        hasResumed = true
        if !isRunning { timer?.start(after: .zero) }
    }

    private func receive(
        _ connection: OpaquePointer, _ target: UnsafePointer<CChar>, _ method: UnsafePointer<CChar>, _ bytes: UnsafePointer<CChar>?,
        _ count: UnsafeMutablePointer<Int>, _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    ) -> MHD_Result {
        let handler = isClosing ? { $0.answer(HTTPAnswer(status: 503)) } : handler
        guard let raw = slot.pointee else {
            let request = PendingRequest(connection, method: String(cString: method), path: String(cString: target), limit: limits.body) {
                // Also while closing, from the end of the server's life.
                [unowned(unsafe) self] in resume(connection)
            }
            request.isLast = draining != nil
            requests[ObjectIdentifier(request)] = request
            slot.pointee = Unmanaged.passUnretained(request).toOpaque()
            return request.isAnnouncedTooLong ? request.proceed(isTooLong: true, handler) : .YES
        }
        let request = Unmanaged<PendingRequest>.fromOpaque(raw).takeUnretainedValue()
        if count.pointee > 0 {
            let taken = request.take(UnsafeRawBufferPointer(start: bytes, count: count.pointee))
            count.pointee = 0
            return taken ? .YES : .NO
        }
        slow.end(connection)
        return request.proceed(handler)
    }

    private func forget(_ request: PendingRequest, _ connection: OpaquePointer) {
        request.abandon()
        requests[ObjectIdentifier(request)] = nil
        // The next request of a kept connection.
        if draining == nil { awaitRequest(on: connection, isKept: true) }
    }

    private func note(_ connection: OpaquePointer, isOpen: Bool) {
        connections += isOpen ? 1 : -1
        guard isOpen else {
            slow.end(connection)
            if connections == 0 { draining?.start(after: .zero) }
            return
        }
        accepted += 1
        awaitRequest(on: connection, isKept: false)
    }

    private func awaitRequest(on connection: OpaquePointer, isKept: Bool) {
        if slow.count == 0, daemon != nil { slowTimer?.start(after: limits.request) }
        slow.begin(connection, isKept: isKept, now: .now)
    }

    private func closeOverdue() {
        for connection in slow.takeOverdue(after: limits.request, now: .now) { end(connection) }
        if slow.count > 0 { slowTimer?.start(after: limits.request / 4) }
    }

    private func hasInput(_ connection: OpaquePointer) -> Bool {
        guard let bytes = try? Sockets.peek(keyhole_mhd_socket(connection), capacity: 1) else { return false }
        return !bytes.isEmpty
    }

    /// The daemon sees the end of the stream, and forgets the connection in its own time.
    private func end(_ connection: OpaquePointer) { shutdown(keyhole_mhd_socket(connection), Int32(SHUT_RDWR)) }
}
