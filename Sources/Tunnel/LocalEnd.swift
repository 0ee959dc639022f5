import EventLoop
import Glibc
import Platform

/// The local end of a stream: a socket, or a pair of descriptors of which one is read and the other written.
///
/// Regular files and some devices can't be watched because they are always ready; for those the handler is called from a timer instead.
final class LocalEnd {
    let input: Int32
    let output: Int32
    private let closesThem: Bool
    private var inputWatcher: Watcher?
    private var outputWatcher: Watcher?
    private var alwaysReadable: Timer?
    private var handler: (Readiness) -> Void = { _ in }
    private var wanted: Readiness = []
    private(set) var isClosed = false

    private var isSocket: Bool { input == output }

    /// - Parameter owned: Whether the descriptors are closed with the end. Others get their blocking mode back, which they may share
    ///   with processes that don't expect a change.
    init(on loop: EventLoop, input: Int32, output: Int32, owned: Bool) throws(SystemError) {
        self.input = input
        self.output = output
        closesThem = owned
        if input == output {
            // Fails for Unix sockets, which have nothing to delay.
            try? Sockets.setNodelay(input)
        }
        do throws(SystemError) {
            inputWatcher = try Watcher(on: loop, input) { [unowned self] in handler($0) }
        } catch where error.code == EPERM {
            alwaysReadable = Timer(on: loop) { [unowned self] in
                let end = self
                end.handler(.readable)
                if end.wanted.contains(.readable) { end.alwaysReadable?.start(after: .zero) }
            }
        }
        if input != output {
            outputWatcher = try? Watcher(on: loop, output) { [unowned self] in handler($0) }
        }
        // libuv makes what it watches non-blocking.
        if inputWatcher == nil { try Sockets.setNonblocking(input) }
        if input != output && outputWatcher == nil { try Sockets.setNonblocking(output) }
    }

    deinit { close() }

    func start(_ handler: @escaping (Readiness) -> Void) { self.handler = handler }

    /// Sets what the handler is to be called for.
    func wait(for readiness: Readiness) {
        guard !isClosed, readiness != wanted else { return }
        wanted = readiness
        if isSocket {
            inputWatcher?.wait(for: readiness)
        } else {
            inputWatcher?.wait(for: readiness.intersection(.readable))
            outputWatcher?.wait(for: readiness.intersection(.writable))
        }
        if readiness.contains(.readable) { alwaysReadable?.start(after: .zero) }
    }

    /// Tells the reader of the output that no more comes.
    func finishOutput() {
        guard !isClosed else { return }
        if isSocket {
            shutdown(output, Int32(SHUT_WR))
        } else if closesThem {
            outputWatcher?.cancel()
            outputWatcher = nil
            Glibc.close(output)
            isOutputClosed = true
        }
    }

    private var isOutputClosed = false

    /// Closes both directions.
    ///
    /// - Parameter abruptly: Makes a TCP socket send RST, so that its other end can tell a broken stream from a finished one.
    func close(abruptly: Bool = false) {
        guard !isClosed else { return }
        isClosed = true
        inputWatcher?.cancel()
        outputWatcher?.cancel()
        alwaysReadable?.stop()
        handler = { _ in }
        guard closesThem else {
            try? Sockets.setBlocking(input)
            try? Sockets.setBlocking(output)
            return
        }
        if abruptly && isSocket { Sockets.resetOnClose(input) }
        Glibc.close(input)
        if !isSocket && !isOutputClosed { Glibc.close(output) }
    }
}
