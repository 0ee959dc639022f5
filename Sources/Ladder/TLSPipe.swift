import EventLoop
import Glibc
import Platform
import TLS
import Tunnel

/// Carries bytes between a plain socket and one with TLS on it, until both directions have ended or either breaks. It keeps itself until
/// then.
///
/// Each direction holds one record at most; whoever is slow holds up its sender and nobody else.
final class TLSPipe {
    /// One direction's bytes that have been read and not yet written.
    private struct Load {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: TLSSession.largestRecord, alignment: 16)
        var rest = 0..<0
        /// Its reader has come to the end.
        var isEnding = false
        /// The end has been passed on too.
        var isOver = false

        var pending: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[rest]) }
        mutating func fill(_ count: Int) { rest = 0..<count }
        mutating func take(_ count: Int) { rest = rest.dropFirst(count) }
    }

    /// Pieces moved before other things get their turn.
    private static let atOnce = 16

    private let session: TLSSession
    private let wire: DescriptorOwner
    private let plain: DescriptorOwner
    private var wireWatcher: Watcher?
    private var plainWatcher: Watcher?
    private var again: Timer?
    private var up = Load(), down = Load()

    /// Starts to carry.
    ///
    /// - Parameters:
    ///   - wire: The socket of the session, established.
    ///   - plain: Non-blocking; both belong to the pipe from now on.
    static func run(_ session: TLSSession, on wire: DescriptorOwner, and plain: DescriptorOwner, on loop: EventLoop) throws(SystemError) {
        let pipe = TLSPipe(session, wire, plain)
        // The closures keep it until the end.
        pipe.again = Timer(on: loop) { pipe.move() }
        do throws(SystemError) {
            pipe.wireWatcher = try Watcher(on: loop, wire.number) { _ in pipe.move() }
            pipe.plainWatcher = try Watcher(on: loop, plain.number) { _ in pipe.move() }
        } catch {
            pipe.end()
            throw error
        }
        // The server may have sent something with the end of its handshake.
        pipe.again?.start(after: .zero)
    }

    private init(_ session: TLSSession, _ wire: DescriptorOwner, _ plain: DescriptorOwner) {
        self.session = session
        self.wire = wire
        self.plain = plain
    }

    deinit {
        up.bytes.deallocate()
        down.bytes.deallocate()
    }

    private func end() {
        wireWatcher?.cancel()
        plainWatcher?.cancel()
        (wireWatcher, plainWatcher, again) = (nil, nil, nil)
        _ = wire.take()
        _ = plain.take()
    }

    private func move() {
        guard wireWatcher != nil else { return }
        do {
            var isDone = false
            for _ in 0..<Self.atOnce where !isDone {
                let sent = try moveUp(), received = try moveDown()
                isDone = !sent && !received
            }
            if up.isOver, down.isOver { return end() }
            watch()
            // What GnuTLS holds is no news to the loop, and neither is what was left for later.
            if !isDone { again?.start(after: .zero) }
        } catch { end() }
    }

    private func watch() {
        let reads = !down.isEnding && down.rest.isEmpty
        let writes = !up.rest.isEmpty || (up.isEnding && !up.isOver)
        wireWatcher?.wait(for: (reads ? Readiness.readable : []).union(writes ? .writable : []))
        plainWatcher?.wait(for: (up.isEnding || !up.rest.isEmpty ? Readiness() : .readable).union(down.rest.isEmpty ? [] : .writable))
    }

    /// From the plain socket into TLS; whether anything was moved.
    private func moveUp() throws -> Bool {
        if up.rest.isEmpty, !up.isEnding {
            let count = try nonblockingCall("recv") { recv(plain.number, up.bytes.baseAddress, up.bytes.count, 0) }
            guard let count else { return false }
            up.fill(count)
            up.isEnding = count == 0
        }
        if !up.rest.isEmpty {
            guard let count = try session.send(up.pending) else { return false }
            up.take(count)
            return true
        }
        guard up.isEnding, !up.isOver else { return false }
        up.isOver = session.sendEnd()
        return false
    }

    /// From TLS into the plain socket; whether anything was moved.
    private func moveDown() throws -> Bool {
        if down.rest.isEmpty, !down.isEnding {
            switch try session.receive(down.bytes) {
            case .nothingYet: return false
            case .bytes(let count): down.fill(count)
            case .end: down.isEnding = true
            }
        }
        if !down.rest.isEmpty {
            let pending = down.pending
            let count = try nonblockingCall("send") { Glibc.send(plain.number, pending.baseAddress, pending.count, Int32(MSG_NOSIGNAL)) }
            guard let count else { return false }
            down.take(count)
            return true
        }
        guard down.isEnding, !down.isOver else { return false }
        down.isOver = true
        shutdown(plain.number, Int32(SHUT_WR))
        return false
    }
}
