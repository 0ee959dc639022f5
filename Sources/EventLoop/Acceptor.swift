import Glibc
import Platform

/// Takes the connections of a listening socket, and survives running out of descriptors.
public final class Acceptor {
    /// A listening socket stays readable when accepting fails, so without a pause the loop would spin.
    private static let pauseWhenExhausted: Duration = .milliseconds(100)
    /// Connections taken before other things get their turn.
    private static let atOnce = 64

    private let listener: FileDescriptor
    private var watcher: Watcher?
    private var timer: Timer?
    private var isExhausted = false
    private let onConnection: (consuming FileDescriptor) -> Void
    private let onError: (SystemError) -> Void

    /// - Parameter onError: Called when accepting begins to fail, once until it works again.
    public init(
        on loop: EventLoop, _ listener: consuming FileDescriptor, onError: @escaping (SystemError) -> Void,
        onConnection: @escaping (consuming FileDescriptor) -> Void
    ) throws(SystemError) {
        let number = listener.number
        self.listener = listener
        self.onError = onError
        self.onConnection = onConnection
        watcher = try Watcher(on: loop, number) { [weak self] _ in self?.accept() }
        timer = Timer(on: loop) { [weak self] in self?.watcher?.wait(for: .readable) }
        watcher?.wait(for: .readable)
    }

    deinit { watcher?.cancel() }

    private func accept() {
        for _ in 0..<Self.atOnce {
            do throws(SystemError) {
                guard let connection = try Sockets.accept(listener.number) else { return }
                isExhausted = false
                onConnection(connection)
            } catch {
                watcher?.wait(for: [])
                timer?.start(after: Self.pauseWhenExhausted)
                if !isExhausted { onError(error) }
                isExhausted = true
                return
            }
        }
    }
}
