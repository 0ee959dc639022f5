import EventLoop
import Glibc
import Platform
import TLS

/// An iroh relay on listening sockets: the driver of ``RelayHub`` on the event loop.
///
/// The sockets and TLS are its own, because it needs the socket itself: to stop reading for a rate, to see that a client takes nothing, and
/// to hold ten thousand. libmicrohttpd gives an upgraded TLS connection away as one end of a socket pair with a pump behind it, which is
/// three descriptors a client and a copy each way, and keeps the memory of the request.
public final class RelayServer {
    /// What is read at once, with room for a frame of which a part has come before.
    private static let bufferSize = 256 << 10

    public let hub: RelayHub
    /// For connections that begin from now on.
    public var credentials: TLSCredentials?
    public var onError: ((SystemError) -> Void)?
    let loop: EventLoop
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 16)
    private var acceptors: [Acceptor] = []
    private var services: [STUNService] = []
    private var flushing: BeforeWaiting?
    private var ticking: Timer?
    private var isTicking = false
    private var resuming: Timer?
    private var toFlush: [RelayConnection] = []
    private var toRead: [RelayConnection] = []
    private var onDrained: (() -> Void)?

    public init(on loop: EventLoop, _ hub: RelayHub) {
        self.loop = loop
        self.hub = hub
        flushing = BeforeWaiting(on: loop) { [unowned self] in finishTurn() }
        ticking = Timer(on: loop) { [unowned self] in tick() }
        resuming = Timer(on: loop) { hub.resume(now: .now) }
    }

    deinit { buffer.deallocate() }

    /// Takes the connections of a listening socket.
    ///
    /// - Parameter isSecure: Whether clients begin with TLS; ``credentials`` are needed then.
    public func listen(_ listener: consuming FileDescriptor, isSecure: Bool) throws(SystemError) {
        acceptors.append(try Acceptor(on: loop, listener, onError: { [unowned self] in onError?($0) }) { [unowned self] (socket: consuming FileDescriptor) in
            accept(socket, isSecure: isSecure)
        })
    }

    /// Answers the STUN requests that come to a UDP socket.
    public func answerSTUN(_ socket: consuming FileDescriptor) throws(SystemError) {
        services.append(try STUNService(on: loop, socket) { [unowned self] in hub.counters.stunAnswers += 1 })
    }

    private func accept(_ socket: consuming FileDescriptor, isSecure: Bool) {
        let number = socket.number
        do {
            let address = try Sockets.remoteAddress(number).ip
            try Sockets.setOption(number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            let tls = isSecure ? try credentials.map { try TLSSession($0, socket: number) } : nil
            if isSecure, tls == nil { return }
            _ = try RelayConnection(self, socket, from: address, tls: tls, now: .now)
        } catch let error as SystemError {
            // The client has gone already.
            if error.code != ENOTCONN { onError?(error) }
        } catch { onError?(SystemError(call: "gnutls_init", code: ENOMEM)) }
        guard !isTicking, hub.connections > 0 else { return }
        isTicking = true
        ticking?.start(after: RelaySettings.tick, every: RelaySettings.tick)
    }

    // MARK: Turns of the loop

    func flushLater(_ connection: RelayConnection) { toFlush.append(connection) }
    func readAgain(_ connection: RelayConnection) { toRead.append(connection) }

    private func finishTurn() {
        // Sending may end a connection, which others are told.
        while !toFlush.isEmpty || !toRead.isEmpty {
            let (flush, read) = (toFlush, toRead)
            toFlush.removeAll(keepingCapacity: true)
            toRead.removeAll(keepingCapacity: true)
            for connection in read { connection.continueReading() }
            for connection in flush { connection.flushMarked() }
        }
        if let earliest = hub.earliestResume { resuming?.start(after: earliest - .now) }
        if hub.connections == 0, let onDrained {
            self.onDrained = nil
            onDrained()
        }
    }

    private func tick() {
        hub.advance(now: .now)
        if hub.connections == 0 {
            isTicking = false
            ticking?.stop()
        }
    }

    // MARK: The end

    /// Takes no more connections, tells all clients to come back, and calls `completion` when the last one has gone, which takes no
    /// longer than the time that an ending client has. Sockets of a service manager go on to hold those that connect meanwhile.
    public func drain(_ completion: @escaping () -> Void) {
        acceptors = []
        services = []
        hub.restart(now: .now)
        if hub.connections == 0 { completion() } else { onDrained = completion }
    }
}
