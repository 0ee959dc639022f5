import EventLoop
import Glibc
import Platform
import TLS

/// A client's socket, with TLS on it or without: reads into the server's buffer, hands on to the session, sends what that has.
final class RelayConnection: RelayTransport {
    private unowned let server: RelayServer
    private let socket: FileDescriptor
    private let tls: TLSSession?
    private var watcher: Watcher?
    private var session: RelaySession?
    private var isReading = true
    private var hasToWrite = false
    private var isMarked = false
    private var hasSentEnd = false

    /// Nil when the relay has no room.
    init?(_ server: RelayServer, _ socket: consuming FileDescriptor, from address: IPAddress, tls: TLSSession?, now: Instant) throws(SystemError) {
        let number = socket.number
        self.server = server
        self.socket = socket
        self.tls = tls
        guard let session = server.hub.open(self, from: address, isSecure: tls != nil, now: now) else { return nil }
        self.session = session
        do throws(SystemError) {
            watcher = try Watcher(on: server.loop, number) { [unowned self] in act(on: $0) }
        } catch {
            session.closed(.transportFailed(error.reason), now: now)
            throw error
        }
        wait()
    }

    private func wait() {
        watcher?.wait(for: (isReading ? Readiness.readable : []).union(hasToWrite ? .writable : []))
    }

    private func act(on readiness: Readiness) {
        do {
            if let tls, !tls.isEstablished {
                let isDone = try tls.handshake()
                hasToWrite = !isDone && tls.wantsToWrite
                return wait()
            }
            if readiness.contains(.writable) { try flush() }
            if isReading, readiness.contains(.readable) { try read() }
        } catch { fail(error) }
    }

    private func fail(_ error: any Error) {
        session?.closed(.transportFailed((error as? SystemError)?.reason ?? "\(error)"), now: .now)
    }

    // MARK: Reading

    private func read() throws {
        guard let session else { return }
        let buffer = server.buffer
        let unread = session.unreadCount
        session.takeUnread(buffer)
        var filled = unread
        var isAtEnd = false
        reading: while true {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            switch try receive(rest) {
            case .bytes(let count): filled += count
            case .nothingYet: break reading
            case .end:
                isAtEnd = true
                break reading
            }
            // GnuTLS gives one record at a time, and what it has left over the socket tells nobody of. Without TLS once is enough.
            guard tls != nil, buffer.count - filled >= TLSSession.largestRecord else { break }
        }
        let now = Instant.now
        // Also when nothing is fresh, as with half a TLS record: the session wants back what was unread.
        if filled > 0 { session.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<filled]), fresh: filled - unread, now: now) }
        if isAtEnd {
            session.closed(.left, now: now)
        } else if tls?.hasPending == true, isReading {
            server.readAgain(self)
        }
    }

    private func receive(_ rest: UnsafeMutableRawBufferPointer) throws -> TLSSession.Received {
        if let tls { return try tls.receive(rest) }
        guard let count = try nonblockingCall("recv", { recv(socket.number, rest.baseAddress, rest.count, 0) }) else { return .nothingYet }
        return count == 0 ? .end : .bytes(count)
    }

    /// Reads what TLS had left over in the turn before.
    func continueReading() {
        guard isReading else { return }
        do { try read() } catch { fail(error) }
    }

    // MARK: Sending

    /// Sends what the session has, as far as the socket takes it.
    func flushMarked() {
        isMarked = false
        if let tls, !tls.isEstablished { return }
        do { try flush() } catch { fail(error) }
    }

    private func flush() throws {
        guard let session else { return }
        var isFull = false
        while session.hasOutput, !isFull {
            try session.withOutput(now: .now) { bytes in
                guard let count = try send(bytes) else {
                    isFull = true
                    return 0
                }
                return count
            }
        }
        hasToWrite = isFull
        if session.isEnding, !session.hasOutput, !hasSentEnd {
            // The client's end is waited for, so that bytes of it that have not been read don't have the kernel throw ours away.
            hasSentEnd = true
            tls?.sendEnd()
            shutdown(socket.number, Int32(SHUT_WR))
        }
        wait()
    }

    private func send(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        if let tls { return try tls.send(bytes) }
        return try nonblockingCall("send") { Glibc.send(socket.number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    // MARK: RelayTransport

    func outputIsReady() {
        if isMarked { return }
        isMarked = true
        server.flushLater(self)
    }

    func setReading(_ reading: Bool) {
        isReading = reading
        wait()
        if reading, tls?.hasPending == true { server.readAgain(self) }
    }

    func close() {
        watcher?.cancel()
        watcher = nil
        isReading = false
        session = nil
    }

    func exportKeyingMaterial(label: String, context: [UInt8], count: Int) -> [UInt8]? {
        tls?.exportKeyingMaterial(label: label, context: context, count: count)
    }
}
