import EventLoop
import Platform
import STUN

/// Tells whoever asks which address it comes from (RFC 8489).
final class STUNService {
    /// Requests answered before other things get their turn.
    private static let atOnce = 64

    private let socket: FileDescriptor
    private var watcher: Watcher?
    private let onAnswer: () -> Void

    init(on loop: EventLoop, _ socket: consuming FileDescriptor, onAnswer: @escaping () -> Void) throws(SystemError) {
        let number = socket.number
        self.socket = socket
        self.onAnswer = onAnswer
        watcher = try Watcher(on: loop, number) { [unowned self] _ in answer() }
        watcher?.wait(for: .readable)
    }

    deinit { watcher?.cancel() }

    private func answer() {
        for _ in 0..<Self.atOnce {
            // Errors are those that earlier answers came back with (ICMP): they concern nobody here.
            guard let received = try? Sockets.receiveDatagram(socket.number, capacity: STUNMessage.largest + 1) else { return }
            guard let bytes = STUNMessage.answer(to: received.bytes, from: received.source) else { continue }
            if (try? Sockets.sendDatagram(socket.number, bytes, to: received.source)) == true { onAnswer() }
        }
    }
}
