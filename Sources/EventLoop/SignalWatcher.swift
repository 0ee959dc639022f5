import CUV
import Platform

/// Calls a handler when the process gets a signal, in the loop rather than in the middle of anything. It does not keep the loop running.
public final class SignalWatcher {
    private var box: HandleBox<uv_signal_t>!
    private let handler: () -> Void

    public init(on loop: EventLoop, _ number: Int32, _ handler: @escaping () -> Void) {
        self.handler = handler
        box = HandleBox(self, on: loop)
        uv_signal_init(loop.handle, box.pointer)
        uv_signal_start(box.pointer, { raw, _ in owner(raw?.pointee.data, SignalWatcher.self)?.handler() }, number)
        box.asHandle { uv_unref($0) }
    }

    public func cancel() { box.close() }
}
