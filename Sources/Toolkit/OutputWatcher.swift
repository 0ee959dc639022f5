import EventLoop
import Glibc

/// Tells when the reader of standard output has gone, for commands that may have nothing to write for a long time. It does not see it
/// for a regular file or a terminal, which have no reader.
public final class OutputWatcher {
    private var watcher: Watcher?

    public init(on loop: EventLoop, _ handler: @escaping () -> Void) {
        var status = stat()
        guard fstat(STDOUT_FILENO, &status) == 0, [S_IFIFO, S_IFSOCK].contains(status.st_mode & S_IFMT) else { return }
        watcher = try? Watcher(on: loop, STDOUT_FILENO, keepsLoopRunning: false) { [unowned self] _ in
            watcher?.cancel()
            handler()
        }
        watcher?.wait(for: .disconnected)
    }
}
