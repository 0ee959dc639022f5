import CPlatform
import Glibc
import Platform

/// Calls a handler when addresses, routes or links of this machine have changed (rtnetlink(7)). What has changed is not told: whoever
/// wants to know looks, which is right even when the kernel had more to tell than there was room for (`ENOBUFS`).
///
/// A cable that is plugged in is a dozen changes within a second; the handler is called once, when it has been quiet for a moment.
/// It does not keep the loop running.
public final class NetworkWatcher {
    /// Quiet after a change, before it is told.
    static let quiet: Duration = .milliseconds(200)
    /// A network that never gets quiet is looked at this often.
    static let longest: Duration = .seconds(2)
    /// How often to look where the kernel may not be asked to tell: a sandbox may forbid such sockets.
    private static let blindInterval: Duration = .seconds(30)

    private let descriptor: FileDescriptor?
    private var watcher: Watcher?
    private var timer: Timer!
    /// When the first change came that was not told yet.
    private var since: Instant?

    public init(on loop: EventLoop, _ handler: @escaping () -> Void) {
        let number = keyhole_network_changes()
        descriptor = number < 0 ? nil : FileDescriptor(owning: number)
        timer = Timer(on: loop) { [unowned self] in
            since = nil
            handler()
        }
        timer.letLoopEnd()
        watcher = number < 0 ? nil : try? Watcher(on: loop, number, keepsLoopRunning: false) { [unowned self] _ in note(number) }
        if let watcher { watcher.wait(for: .readable) } else { timer.start(after: Self.blindInterval, every: Self.blindInterval) }
    }

    deinit { watcher?.cancel() }

    private func note(_ descriptor: Int32) {
        keyhole_discard_input(descriptor)
        // libuv stops watching what has reported an error, and that there was no room is one.
        watcher?.wait(for: [])
        watcher?.wait(for: .readable)
        let now = Instant.now
        if since == nil { since = now }
        timer.start(after: max(.zero, min(Self.quiet, since! + Self.longest - now)))
    }
}
