import CUV

/// Calls a handler each time before the loop waits: the place to do once what many events have asked for. It does not keep the loop running.
public final class BeforeWaiting {
    private var box: HandleBox<uv_prepare_t>!
    private let handler: () -> Void

    public init(on loop: EventLoop, _ handler: @escaping () -> Void) {
        self.handler = handler
        box = HandleBox(self, on: loop)
        uv_prepare_init(loop.handle, box.pointer)
        uv_prepare_start(box.pointer) { raw in owner(raw?.pointee.data, BeforeWaiting.self)?.handler() }
        box.asHandle { uv_unref($0) }
    }

    public func cancel() { box.close() }
}
