import EventLoop
import Glibc
import Platform

/// Tells when the reader of standard output has gone, for commands that may have nothing to write for a long time. It does not see it
/// for a regular file or a terminal, which have no reader.
public final class OutputWatcher {
    private var watcher: Watcher?

    /// - Parameters:
    ///   - alsoSockets: Whether a socket counts whose other end has been shut for writing. A command that reads from the same socket still
    ///     has to answer then.
    ///   - handler: Called once.
    public init(on loop: EventLoop, alsoSockets: Bool, _ handler: @escaping () -> Void) {
        guard let status = try? FileStatus(of: STDOUT_FILENO), status.isPipe || alsoSockets && status.isSocket else { return }
        watcher = try? Watcher(on: loop, STDOUT_FILENO, keepsLoopRunning: false) { [unowned self] _ in
            watcher?.cancel()
            handler()
        }
        watcher?.wait(for: .disconnected)
    }
}
