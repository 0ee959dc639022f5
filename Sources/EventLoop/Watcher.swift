import CUV
import Platform

/// What can happen on a descriptor.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let readable = Readiness(rawValue: Int32(UV_READABLE.rawValue))
    public static let writable = Readiness(rawValue: Int32(UV_WRITABLE.rawValue))
    /// The other end of a socket has gone or closed its writing side.
    public static let disconnected = Readiness(rawValue: Int32(UV_DISCONNECT.rawValue))
}

/// Watches a descriptor, level-triggered. The descriptor stays its owner's: cancel the watcher before closing it. A released watcher
/// is cancelled.
public final class Watcher {
    private var box: HandleBox<uv_poll_t>!
    private let handler: (Readiness) -> Void
    private var wanted: Readiness = []

    /// - Parameter keepsLoopRunning: Whether the loop goes on for this watcher alone.
    /// - Throws: `EPERM` for regular files, which are always ready and can't be watched.
    public init(
        on loop: EventLoop, _ descriptor: Int32, keepsLoopRunning: Bool = true, _ handler: @escaping (Readiness) -> Void
    ) throws(SystemError) {
        self.handler = handler
        box = HandleBox(self, on: loop)
        let status = uv_poll_init(loop.handle, box.pointer, descriptor)
        guard status == 0 else {
            box.abandon()
            throw systemError("poll", status)
        }
        if !keepsLoopRunning { box.asHandle { uv_unref($0) } }
    }

    /// Sets what to wait for; nothing pauses the watcher. Asking for the same again costs nothing.
    public func wait(for readiness: Readiness) {
        guard let pointer = box.pointer, readiness != wanted else { return }
        wanted = readiness
        guard !readiness.isEmpty else {
            uv_poll_stop(pointer)
            return
        }
        uv_poll_start(pointer, readiness.rawValue) { raw, status, events in
            guard let watcher = owner(raw?.pointee.data, Watcher.self) else { return }
            guard status < 0 else { return watcher.handler(Readiness(rawValue: events)) }
            // An error on the descriptor shows in the call that the handler makes, so let it make both. libuv has stopped watching: whoever
            // has found bytes first, and the error behind them not yet, has to be able to wait on.
            let wanted = watcher.wanted
            watcher.wanted = []
            watcher.handler(wanted)
        }
    }

    /// Stops watching for good.
    public func cancel() { box.close() }
}
