import EventLoop
import Glibc
import JSON
import Platform

/// Lines for standard output: which keys' packets are wanted above all.
///
/// Who reads them may be slow, since every page in a browser can ask for keys: the proxy does not wait for it. What there is no room for is
/// left out; a packet is asked for again when it is still wanted then.
final class OutputQueue {
    /// Some thousand.
    private static let mostWaiting = 256 << 10

    private var waiting: [UInt8] = []
    private var watcher: Watcher?
    private let onGone: () -> Void

    /// - Parameter onGone: Called once when nobody reads them any more.
    init(on loop: EventLoop, onGone: @escaping () -> Void) {
        self.onGone = onGone
        // A regular file can't be watched, and takes everything at once.
        watcher = try? Watcher(on: loop, STDOUT_FILENO, keepsLoopRunning: false) { [unowned self] readiness in
            readiness.contains(.disconnected) ? end() : flush()
        }
        watcher?.wait(for: .disconnected)
    }

    func write(_ value: JSONValue) {
        let line = Array(value.text.utf8) + [0x0a]
        guard waiting.count + line.count <= Self.mostWaiting else { return }
        waiting += line
        flush()
    }

    private func flush() {
        do throws(SystemError) {
            while !waiting.isEmpty {
                guard let count = try nonblockingCall("write", { Glibc.write(STDOUT_FILENO, waiting, waiting.count) }) else {
                    watcher?.wait(for: [.writable, .disconnected])
                    return
                }
                waiting.removeFirst(count)
            }
            watcher?.wait(for: .disconnected)
        } catch { end() }
    }

    private func end() {
        watcher?.cancel()
        watcher = nil
        waiting = []
        onGone()
    }
}
