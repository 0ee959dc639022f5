import EventLoop
import Glibc
import Platform

/// A client's TCP connection (RFC 7766): any number of queries, answered as answers come.
final class StreamClient {
    /// A connection on which no query is completed and no answer taken for so long is closed (RFC 7766, section 6.2.3, speaks of seconds).
    static let idle: Duration = .seconds(10)
    /// Queries without an answer yet; further ones wait in the kernel.
    static let mostUnanswered = 100
    /// The longest query, far longer than any with EDNS options.
    static let longestQuery = 4096
    /// Answers that the client does not take, in bytes; then it is given up.
    private static let mostUnsent = 4 * DNSResponse.largestStreamMessage

    let address: SocketAddress
    private let socket: FileDescriptor
    private var watcher: Watcher?
    private var timer: Timer?
    private var framing = MessageFraming(longest: longestQuery)
    private var unanswered = 0
    private var unsent: [UInt8] = []
    private var hasEnded = false
    private var isPumping = false
    private let onQuery: ([UInt8]) -> Void
    private var onClose: (() -> Void)?

    /// - Parameter onClose: Called once, from the loop.
    init(
        on loop: EventLoop, _ socket: consuming FileDescriptor, address: SocketAddress, onQuery: @escaping ([UInt8]) -> Void,
        onClose: @escaping () -> Void
    ) throws(SystemError) {
        let number = socket.number
        self.socket = socket
        self.address = address
        self.onQuery = onQuery
        self.onClose = onClose
        watcher = try Watcher(on: loop, number) { [weak self] readiness in
            guard let self else { return }
            if readiness.contains(.readable) { receive() }
            if self.onClose != nil { pump() }
        }
        timer = Timer(on: loop) { [weak self] in self?.expire() }
        timer?.start(after: Self.idle)
        watcher?.wait(for: .readable)
    }

    /// Sends the answer to a query, or with nil closes the account of one that gets none.
    func answer(_ message: [UInt8]?) {
        guard onClose != nil else { return }
        unanswered -= 1
        if let message { unsent += MessageFraming.framed(message) }
        if !isPumping { pump() }
    }

    func close() {
        watcher?.cancel()
        timer?.stop()
        // Whoever is called may drop the last reference to this object.
        let onClose = onClose
        self.onClose = nil
        onClose?()
    }

    private func receive() {
        do throws(SystemError) {
            guard let received = try Sockets.receive(socket.number, capacity: Self.longestQuery) else { return }
            if let descriptor = received.descriptor { Glibc.close(descriptor) }
            if received.bytes.isEmpty { hasEnded = true } else { framing.append(received.bytes) }
        } catch { close() }
    }

    /// Hands out the queries that are there, sends the answers that are there, and sees what to wait for.
    private func pump() {
        isPumping = true
        defer { isPumping = false }
        var isWhole = true
        taking: while unanswered < Self.mostUnanswered {
            switch framing.next() {
            case .message(let message):
                unanswered += 1
                timer?.start(after: Self.idle)
                onQuery(message)
                // The query may have been the last that was wanted of this server.
                if onClose == nil { return }
            case .incomplete: break taking
            case .broken:
                isWhole = false
                break taking
            }
        }
        guard isWhole, unsent.count <= Self.mostUnsent, flush() else { return close() }
        if hasEnded, unanswered == 0, unsent.isEmpty { return close() }
        update()
    }

    /// False when the client has gone.
    private func flush() -> Bool {
        guard !unsent.isEmpty else { return true }
        do throws(SystemError) {
            while !unsent.isEmpty {
                guard let sent = try Sockets.send(socket.number, unsent, descriptor: nil) else { return true }
                unsent.removeFirst(sent)
            }
        } catch { return false }
        timer?.start(after: Self.idle)
        return true
    }

    private func update() {
        var readiness: Readiness = []
        if !hasEnded, unanswered < Self.mostUnanswered { readiness.insert(.readable) }
        if !unsent.isEmpty { readiness.insert(.writable) }
        watcher?.wait(for: readiness)
    }

    private func expire() {
        // While an answer is being looked for, the client is not to blame.
        if unanswered > 0, unsent.isEmpty { timer?.start(after: Self.idle) } else { close() }
    }
}
