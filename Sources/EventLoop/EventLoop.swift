import CUV
import Platform

/// The one event loop of a process: descriptors, timers, signals, child processes and name look-up on one thread.
///
/// A thin owner of libuv's loop. Handles belong to the loop until they are cancelled; cancelling twice is harmless. None of this is
/// thread-safe, and none of it needs to be.
public final class EventLoop {
    let handle: UnsafeMutablePointer<uv_loop_t>

    public init() {
        handle = .allocate(capacity: 1)
        precondition(uv_loop_init(handle) == 0, "libuv can't make a loop: out of memory or descriptors")
    }

    deinit {
        // Closing callbacks of cancelled handles still have to run before the loop's memory may go.
        uv_run(handle, UV_RUN_NOWAIT)
        if uv_loop_close(handle) == 0 { handle.deallocate() }
    }

    /// Runs until ``stop()`` or until nothing is left that could happen.
    public func run() { uv_run(handle, UV_RUN_DEFAULT) }

    /// Makes ``run()`` return after the present callbacks.
    public func stop() { uv_stop(handle) }

    /// Runs one round: waits for something to happen if `waiting`, and handles it.
    public func runOnce(waiting: Bool = true) { uv_run(handle, waiting ? UV_RUN_ONCE : UV_RUN_NOWAIT) }
}

/// A libuv error code with the call that returned it.
func systemError(_ call: String, _ status: Int32) -> SystemError { SystemError(call: call, code: -status) }

/// The memory of one libuv handle, tied to the Swift object that its callbacks are for.
///
/// libuv needs the memory until the close callback has run, so closing frees it there. The box keeps the loop, so that a handle never
/// outlives it.
final class HandleBox<Handle> {
    private(set) var pointer: UnsafeMutablePointer<Handle>?
    private let loop: EventLoop

    init(_ owner: AnyObject, on loop: EventLoop) {
        self.loop = loop
        let pointer = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
        UnsafeMutableRawPointer(pointer).initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<Handle>.size)
        self.pointer = pointer
        asHandle { $0.pointee.data = Unmanaged.passUnretained(owner).toOpaque() }
    }

    /// Frees memory that libuv never took, after a failed `uv_…_init`.
    func abandon() {
        pointer?.deallocate()
        pointer = nil
    }

    func asHandle(_ body: (UnsafeMutablePointer<uv_handle_t>) -> Void) {
        pointer?.withMemoryRebound(to: uv_handle_t.self, capacity: 1, body)
    }

    /// Closes the handle; its memory goes when libuv has let go of it.
    func close() {
        asHandle { raw in
            raw.pointee.data = nil
            uv_close(raw) { closed in UnsafeMutableRawPointer(closed!).deallocate() }
        }
        pointer = nil
    }

    deinit { close() }
}

func owner<Owner: AnyObject>(_ data: UnsafeMutableRawPointer?, _ type: Owner.Type) -> Owner? {
    data.map { Unmanaged<Owner>.fromOpaque($0).takeUnretainedValue() }
}
