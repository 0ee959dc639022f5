import EventLoop
import Glibc

/// The life of a long-running command: it ends in order when it is told to by a signal, and its service manager sees that it goes on.
public final class Service {
    public let loop: EventLoop
    private var watchers: [SignalWatcher] = []
    private var status = ExitStatus.done
    private let watchdog: Watchdog?

    /// - Parameters:
    ///   - signals: The signals that end it.
    ///   - onStop: Does what has to be done before the end; the loop returns afterwards.
    public init(on loop: EventLoop, signals: [Int32] = [SIGINT, SIGTERM], onStop: @escaping () -> Void = {}) {
        self.loop = loop
        watchdog = Watchdog(on: loop)
        for number in signals {
            watchers.append(SignalWatcher(on: loop, number) { [unowned self] in
                onStop()
                finish(.done)
            })
        }
    }

    /// Ends the command.
    public func finish(_ status: ExitStatus) {
        self.status = status
        loop.stop()
    }

    /// Runs until ``finish(_:)`` or a signal.
    @discardableResult
    public func run() -> ExitStatus {
        loop.run()
        return status
    }
}
