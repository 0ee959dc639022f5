import EventLoop
import Glibc
import Platform

/// One end of a connection: a non-blocking socket, the bytes read from it that nobody has taken yet, and those that are to be written to it
/// before anything else.
final class Wire {
    private let socket: FileDescriptor
    private var watcher: Watcher?
    private let blocks: BlockPool
    /// Held only while there is something in it: an idle connection costs no block.
    private var block: UnsafeMutableRawPointer?
    private var start = 0
    private var end = 0
    private var output: [UInt8] = []
    private var written = 0
    private(set) var isInputEnded = false
    private(set) var isClosed = false

    /// Called when the socket is ready for what ``wait(for:)`` asked for.
    var handler: (Readiness) -> Void = { _ in }

    init(_ socket: consuming FileDescriptor, blocks: BlockPool, on loop: EventLoop) throws(SystemError) {
        self.socket = socket
        self.blocks = blocks
        watcher = try Watcher(on: loop, self.socket.number) { [unowned self] readiness in
            let wire = self
            wire.handler(readiness)
        }
    }

    deinit { close() }

    var number: Int32 { socket.number }

    func wait(for readiness: Readiness) { watcher?.wait(for: readiness) }

    /// What was read and not dropped.
    var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: block.map { UnsafeRawPointer($0 + start) }, count: end - start) }

    /// Reads as much as there is room for.
    ///
    /// - Returns: False when there is nothing yet, or nothing more: see ``isInputEnded``.
    func read() throws(SystemError) -> Bool {
        guard !isInputEnded, !isClosed else { return false }
        if block == nil {
            block = blocks.take()
            (start, end) = (0, 0)
        }
        guard end < BlockPool.blockSize else { return false }
        let count: Int?
        do throws(SystemError) {
            count = try nonblockingCall("read") { Glibc.read(socket.number, block! + end, BlockPool.blockSize - end) }
        } catch {
            giveBlockIfEmpty()
            throw error
        }
        end += count ?? 0
        isInputEnded = count == 0
        giveBlockIfEmpty()
        return count ?? 0 > 0
    }

    /// Whether the other end has gone altogether, rather than having said all and still listening. After the end of input this tells a broken
    /// connection from a finished one where nothing else does: a Unix socket has no reset.
    var hasHungUp: Bool {
        var waited = pollfd(fd: socket.number, events: 0, revents: 0)
        return poll(&waited, 1, 0) == 1 && waited.revents & Int16(POLLHUP | POLLERR) != 0
    }

    /// Drops bytes of ``unread`` at its front.
    func drop(_ count: Int) {
        start += count
        giveBlockIfEmpty()
    }

    /// Makes bytes that were taken too early unread again; there are none at that time.
    func putBack(_ bytes: [UInt8]) {
        precondition(start == end && bytes.count <= BlockPool.blockSize, "bytes are put back where none are")
        guard !bytes.isEmpty else { return }
        block = block ?? blocks.take()
        block!.copyMemory(from: bytes, byteCount: bytes.count)
        (start, end) = (0, bytes.count)
    }

    private func giveBlockIfEmpty() {
        guard start == end, let block else { return }
        blocks.give(block)
        self.block = nil
        (start, end) = (0, 0)
    }

    /// Whether what ``queue(_:)`` took has not all been written.
    var hasOutput: Bool { written < output.count }

    /// Puts bytes before what is written next.
    func queue(_ bytes: [UInt8]) {
        if hasOutput { output += bytes } else { (output, written) = (bytes, 0) }
    }

    /// Writes what is queued.
    func flush() throws(SystemError) { _ = try write(UnsafeRawBufferPointer(start: nil, count: 0)) }

    /// Writes what is queued, and `body` behind it in the same call.
    ///
    /// - Returns: How many bytes of the body were written.
    func write(_ body: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        guard hasOutput else {
            if body.isEmpty { return 0 }
            return try nonblockingCall("send") { send(socket.number, body.baseAddress, body.count, Int32(MSG_NOSIGNAL)) } ?? 0
        }
        let queued = output.count - written
        let count = try nonblockingCall("writev") {
            output.withUnsafeMutableBytes { bytes in
                var vectors = (iovec(iov_base: bytes.baseAddress! + written, iov_len: queued),
                               iovec(iov_base: UnsafeMutableRawPointer(mutating: body.baseAddress), iov_len: body.count))
                return withUnsafeMutablePointer(to: &vectors) {
                    $0.withMemoryRebound(to: iovec.self, capacity: 2) { writev(socket.number, $0, body.isEmpty ? 1 : 2) }
                }
            }
        } ?? 0
        if count < queued {
            written += count
            return 0
        }
        (output, written) = ([], 0)
        return count - queued
    }

    /// Tells the other end that nothing more comes.
    func finishOutput() { if !isClosed { shutdown(socket.number, Int32(SHUT_WR)) } }

    /// Stops everything; the socket itself is closed with this object.
    ///
    /// - Parameter abruptly: Makes a TCP connection end by a reset, so that its other end can tell a broken stream from a finished one.
    func close(abruptly: Bool = false) {
        guard !isClosed else { return }
        isClosed = true
        watcher?.cancel()
        watcher = nil
        handler = { _ in }
        if abruptly { Sockets.resetOnClose(socket.number) }
        if let block { blocks.give(block) }
        block = nil
        (start, end) = (0, 0)
    }
}
