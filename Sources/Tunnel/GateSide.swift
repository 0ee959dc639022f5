import EventLoop
import Glibc
import Platform

/// One side of a stream that passes through the bridge: a non-blocking stream socket, and what it has not taken yet.
///
/// It may have no socket at first, and keeps what is sent to it until it has one. Whoever fills it stops reading while it is full, so that
/// no more waits here than was read at once.
final class GateSide {
    /// What is kept for the next time; the capacity of longer bytes is given back.
    private static let keptCapacity = 4096

    private var socket: FileDescriptor?
    private var watcher: Watcher?
    private var pending: [UInt8] = []
    /// How many of the pending bytes have been taken.
    private var taken = 0
    private var isShut = false
    /// Its end has come.
    private(set) var hasEnded = false
    /// It takes nothing more.
    private(set) var isBroken = false
    /// It is to be told of the end once it has taken everything.
    private(set) var isFinishing = false

    deinit { close() }

    var isConnected: Bool { socket != nil }
    /// Bytes that wait for it, and those that it has taken of the same piece.
    var keptCount: Int { pending.count }
    /// Whether bytes wait for it.
    var isFull: Bool { taken < pending.count }

    /// - Throws: ``SystemError`` when it can't be watched.
    func attach(_ socket: consuming FileDescriptor, on loop: EventLoop, _ handler: @escaping (Readiness) -> Void) throws(SystemError) {
        watcher = try Watcher(on: loop, socket.number, handler)
        self.socket = consume socket
        flush()
    }

    /// Waits until it can be read, if that is wanted, and until it takes what waits for it.
    func wait(toRead isRead: Bool) {
        var readiness: Readiness = isRead ? .readable : []
        if isFull { readiness.insert(.writable) }
        watcher?.wait(for: readiness)
    }

    /// Reads into the buffer; nil when there is nothing. No bytes mean that the end has come, which a broken connection is too.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard let number = socket?.number, !hasEnded else { return nil }
        let count: Int?
        do throws(SystemError) { count = try nonblockingCall("read") { Glibc.read(number, buffer.baseAddress, buffer.count) } } catch {
            // What was sent before it broke has been read by now.
            breakOff()
            count = 0
        }
        if count == 0 { hasEnded = true }
        return count
    }

    /// Has bytes written with those that are sent next.
    func queue(_ bytes: [UInt8]) { if !isBroken { pending += bytes } }

    /// Writes what waits and these bytes; what is not taken waits.
    func send(_ bytes: UnsafeRawBufferPointer) {
        guard !isBroken, !bytes.isEmpty else { return }
        let waiting = pending.count - taken
        guard let count = writePending(and: bytes) else { return breakOff() }
        advance(min(count, waiting))
        pending += UnsafeRawBufferPointer(rebasing: bytes[max(0, count - waiting)...])
    }

    /// Writes what waits, and tells of the end if that is wanted.
    func flush() {
        if isFull {
            guard let count = writePending(and: UnsafeRawBufferPointer(start: nil, count: 0)) else { return breakOff() }
            advance(count)
        }
        guard isFinishing, !isFull, !isShut, let number = socket?.number else { return }
        isShut = true
        shutdown(number, Int32(SHUT_WR))
    }

    /// No more is sent to it.
    func finish() {
        isFinishing = true
        flush()
    }

    /// - Parameter abruptly: Whether a TCP connection is reset, so that its server does not take what it has for all.
    func close(abruptly: Bool = false) {
        watcher?.cancel()
        watcher = nil
        if abruptly, let number = socket?.number { Sockets.resetOnClose(number) }
        socket = nil
        (pending, taken) = ([], 0)
        (hasEnded, isBroken) = (true, true)
    }

    /// How many bytes were taken, of both together; nil when it is broken.
    private func writePending(and bytes: UnsafeRawBufferPointer) -> Int? {
        guard let number = socket?.number else { return 0 }
        return pending.withUnsafeBytes { pending in
            let waiting = UnsafeRawBufferPointer(rebasing: pending[taken...])
            guard !waiting.isEmpty else { return Self.count { Glibc.write(number, bytes.baseAddress, bytes.count) } }
            guard !bytes.isEmpty else { return Self.count { Glibc.write(number, waiting.baseAddress, waiting.count) } }
            let vectors = [waiting, bytes].map { iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count) }
            return Self.count { writev(number, vectors, 2) }
        }
    }

    private static func count(_ write: () -> Int) -> Int? {
        do throws(SystemError) { return try nonblockingCall("write", write) ?? 0 } catch { return nil }
    }

    private func breakOff() {
        isBroken = true
        (pending, taken) = ([], 0)
    }

    private func advance(_ count: Int) {
        taken += count
        guard taken == pending.count else { return }
        pending.removeAll(keepingCapacity: pending.capacity <= Self.keptCapacity)
        taken = 0
    }
}
