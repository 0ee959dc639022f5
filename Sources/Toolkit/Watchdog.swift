import EventLoop

/// Tells the service manager that the event loop goes round, as often as it wants to know: what hangs is then started again.
final class Watchdog {
    private let timer: Timer

    /// Nil when nobody wants to know.
    init?(on loop: EventLoop) {
        guard let patience = ServiceManager.patience else { return nil }
        timer = Timer(on: loop) { ServiceManager.tellAlive() }
        // Half of the time is what is asked for; a third leaves a moment to a machine that is slow.
        timer.start(after: .zero, every: .microseconds(patience / 3))
        timer.letLoopEnd()
    }
}
