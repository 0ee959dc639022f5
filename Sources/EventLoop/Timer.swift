import CUV
import Platform

/// Calls a handler after a time. Keep it: a released timer is cancelled.
public final class Timer {
    private var box: HandleBox<uv_timer_t>!
    private let handler: () -> Void

    public init(on loop: EventLoop, _ handler: @escaping () -> Void) {
        self.handler = handler
        box = HandleBox(self, on: loop)
        uv_timer_init(loop.handle, box.pointer)
    }

    /// Fires once after `delay`, rounded up to milliseconds, then every `interval` if given. Replaces an earlier start.
    public func start(after delay: Duration, every interval: Duration? = nil) {
        guard let pointer = box.pointer else { return }
        // The loop's idea of now may be as old as the work of this round.
        uv_update_time(pointer.pointee.loop)
        uv_timer_start(pointer, { raw in owner(raw?.pointee.data, Timer.self)?.handler() },
                       delay.millisecondsRoundedUp, interval?.millisecondsRoundedUp ?? 0)
    }

    /// The loop does not go on for this timer alone.
    public func letLoopEnd() { box.asHandle { uv_unref($0) } }

    public func stop() { if let pointer = box.pointer { uv_timer_stop(pointer) } }
}

extension Timer {
    /// Calls a handler once after `delay`, without anybody keeping the timer.
    public static func once(on loop: EventLoop, after delay: Duration, _ handler: @escaping () -> Void) {
        var kept: Timer?
        kept = Timer(on: loop) {
            kept = nil
            handler()
        }
        kept?.start(after: delay)
    }
}
