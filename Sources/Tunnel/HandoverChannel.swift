import EventLoop
import Glibc
import Platform

/// One connection of the hand-over protocol (keyhole-handover(7)): requests and answers as lines, sockets beside them.
///
/// Many requests may be under way at once and be answered in any order. What is sent and what waits for an answer is bounded; a side that
/// asks too much is not read until answers have gone out.
public final class HandoverChannel {
    /// Requests that may wait for an answer, in each direction. Each holds a descriptor or two.
    public static let mostUnanswered = 1024
    /// After this long an answer is given up. A dialler tries all paths of a peer in far less.
    public static let answerTimeout: Duration = .seconds(60)
    /// Lines taken before other things get their turn.
    private static let linesAtOnce = 64
    private static let readSize = 4096

    private enum Completion {
        case connection((consuming Result<FileDescriptor, HandoverError>, HandoverStream) -> Void)
        case stream((Result<HandoverPath, HandoverError>) -> Void)
    }

    private final class Outgoing {
        let id: Int64
        let isRequest: Bool
        let line: [UInt8]
        /// Of an answer; a request's descriptor is its caller's.
        let owned: DescriptorOwner?
        let borrowed: Int32?
        var sent = 0

        init(id: Int64, isRequest: Bool, _ message: HandoverMessage, owned: DescriptorOwner? = nil, borrowed: Int32? = nil) {
            self.id = id
            self.isRequest = isRequest
            line = message.line
            self.owned = owned
            self.borrowed = borrowed
        }

        var descriptor: Int32? { sent > 0 ? nil : owned?.number ?? borrowed }
    }

    private var socket: FileDescriptor?
    private var watcher: Watcher?
    private var timer: Timer?
    private let service: HandoverService
    private let answerTimeout: Duration
    private let onClose: (HandoverEnding) -> Void
    private var intake = HandoverIntake()
    private var outgoing: [Outgoing] = []
    private var waiting: [Int64: (completion: Completion, deadline: Instant)] = [:]
    private var nextID: Int64 = 0
    private var unanswered: Set<Int64> = []
    /// Who wants to hear of the ends of streams.
    private var awaited: [Int64: (Int64) -> Void] = [:]

    /// Takes over a connected Unix stream socket. The channel has to be kept; releasing it closes it silently.
    ///
    /// - Parameters:
    ///   - service: What this side does for the other.
    ///   - onClose: Called once with the reason when the channel has ended by itself, after all requests have failed.
    /// - Throws: ``SystemError`` when the socket can't be watched.
    public init(
        on loop: EventLoop, _ socket: consuming FileDescriptor, service: HandoverService,
        answerTimeout: Duration = HandoverChannel.answerTimeout, onClose: @escaping (HandoverEnding) -> Void
    ) throws(SystemError) {
        let number = socket.number
        self.socket = consume socket
        self.service = service
        self.answerTimeout = answerTimeout
        self.onClose = onClose
        try Sockets.setNonblocking(number)
        watcher = try Watcher(on: loop, number) { [weak self] in self?.ready($0) }
        timer = Timer(on: loop) { [weak self] in self?.expire() }
        watch()
    }

    deinit { shut() }

    /// Ends the channel: every request fails with ``HandoverError/closed``. `onClose` is not called.
    public func close() {
        let completions = waiting.values.map(\.completion), ends = awaited.values
        shut()
        for completion in completions { fail(completion, .closed) }
        for end in ends { end(0) }
    }

    /// Asks for a connection to the target behind the bridge.
    ///
    /// - Parameter completion: Called once, perhaps at once, with the connected, non-blocking socket.
    public func requestConnection(
        _ request: HandoverRequest, completion: @escaping (consuming Result<FileDescriptor, HandoverError>, HandoverStream) -> Void
    ) { send(request, borrowed: nil, .connection(completion)) }

    /// Asks for a stream and hands a connected socket over to it.
    ///
    /// - Parameters:
    ///   - connection: Stays the caller's and has to stay open until the completion; from then on the other side has its own.
    ///   - completion: Called once, perhaps at once, with the way that the stream goes.
    public func handOver(
        _ connection: Int32, _ request: HandoverRequest, completion: @escaping (Result<HandoverPath, HandoverError>) -> Void
    ) { send(request, borrowed: connection, .stream(completion)) }
}

// What goes out.
extension HandoverChannel {
    private func send(_ request: HandoverRequest, borrowed: Int32?, _ completion: Completion) {
        guard socket != nil else { return fail(completion, .closed) }
        guard waiting.count < Self.mostUnanswered else { return fail(completion, .overloaded) }
        let id = nextID
        nextID += 1
        waiting[id] = (completion, Instant.now + answerTimeout)
        if waiting.count == 1 { timer?.start(after: answerTimeout / 4, every: answerTimeout / 4) }
        outgoing.append(Outgoing(id: id, isRequest: true, .open(id: id, request), borrowed: borrowed))
        flush()
    }

    func answer(_ id: Int64, _ message: HandoverMessage, _ descriptor: DescriptorOwner?) {
        guard socket != nil, unanswered.remove(id) != nil else { return }
        outgoing.append(Outgoing(id: id, isRequest: false, message, owned: descriptor))
        flush()
    }

    func awaitEnd(of id: Int64, _ handler: @escaping (Int64) -> Void) {
        if socket == nil { handler(0) } else { awaited[id] = handler }
    }

    func tellEnd(of id: Int64, bytes: Int64) {
        guard socket != nil else { return }
        outgoing.append(Outgoing(id: id, isRequest: false, .ended(id: id, bytes: bytes)))
        flush()
    }

    private func flush() {
        while let first = outgoing.first, let socket = socket?.number {
            do throws(SystemError) {
                let rest = first.sent == 0 ? first.line : Array(first.line[first.sent...])
                guard let count = try Sockets.send(socket, rest, descriptor: first.descriptor) else { break }
                first.sent += count
                if first.sent == first.line.count { outgoing.removeFirst() }
            } catch where first.descriptor != nil && error.code != EPIPE && error.code != ECONNRESET {
                // ETOOMANYREFS: too many descriptors are on their way. The message fails, the channel lives.
                outgoing.removeFirst()
                if first.isRequest {
                    finish(first.id) { fail($0, .undeliverable(error)) }
                } else {
                    let reason = HandoverError.undeliverable(error).description
                    outgoing.insert(Outgoing(id: first.id, isRequest: false, .failed(id: first.id, HandoverRefusal(reason))), at: 0)
                }
            } catch { return end(HandoverEnding(error)) }
        }
        watch()
    }

    private func expire() {
        let now = Instant.now
        for id in waiting.filter({ $0.value.deadline <= now }).keys.sorted() {
            // Its descriptor may be gone after this.
            outgoing.removeAll { $0.isRequest && $0.id == id && $0.sent == 0 }
            finish(id) { fail($0, .timedOut) }
        }
    }
}

// What comes in.
extension HandoverChannel {
    private func ready(_ readiness: Readiness) {
        if readiness.contains(.writable) { flush() }
        if readiness.contains(.readable) { read() }
    }

    private var isFull: Bool { unanswered.count + outgoing.count >= Self.mostUnanswered }

    private func read() {
        var lines = 0
        while lines < Self.linesAtOnce, !isFull, let socket = socket?.number {
            do {
                guard let seen = try Sockets.peek(socket, capacity: Self.readSize) else { break }
                guard !seen.isEmpty else {
                    return end(intake.holdsPart ? .badMessage("cut off by the end") : .closedByPeer)
                }
                let wanted = intake.takes(of: seen)
                guard let received = try Sockets.receive(socket, capacity: wanted) else { break }
                guard let (message, descriptor) = try intake.append(received.bytes, descriptor: received.descriptor) else { continue }
                lines += 1
                try take(message, descriptor)
                // One line at a time is the rule: looking for the next would mostly find none. If there is, the loop says so.
                if wanted == seen.count { break }
            } catch let error as HandoverSyntaxError {
                return end(.badMessage(error.description))
            } catch let error as SystemError {
                return end(HandoverEnding(error))
            } catch { preconditionFailure("no other error is thrown: \(error)") }
        }
        watch()
    }

    private func take(_ message: HandoverMessage, _ descriptor: DescriptorOwner?) throws(HandoverSyntaxError) {
        switch message {
        case .open(let id, let request):
            guard unanswered.insert(id).inserted else { throw HandoverSyntaxError("id \(id) is in use") }
            serve(request, descriptor, HandoverResponder(self, id: id))
        case .opened(let id, let path, let remote, let bytes):
            finish(id) { completion in
                switch completion {
                case .stream(let body): body(.success(HandoverPath(word: path, remote: remote)))
                case .connection(let body):
                    if let connection = descriptor?.take(), Self.prepare(connection.number) {
                        body(.success(connection), HandoverStream(self, id: id, allowance: bytes))
                    } else {
                        body(.failure(.descriptorLost), .none)
                    }
                }
            }
        case .ended(let id, let bytes): awaited.removeValue(forKey: id)?(bytes)
        case .failed(let id, let refusal): finish(id) { fail($0, .refused(refusal)) }
        case .unknown: break
        }
    }

    private func serve(_ request: HandoverRequest, _ descriptor: DescriptorOwner?, _ responder: HandoverResponder) {
        switch service {
        case .none: responder.refuse("this side takes no requests; is the command connected to the socket of the right bridge?")
        case .connections(let body): body(request, responder)
        case .streams(let body):
            guard let connection = descriptor?.take() else {
                return responder.refuse("the request came without its socket; perhaps too many files are open")
            }
            guard Self.prepare(connection.number) else { return responder.refuse("what came with the request is no stream socket") }
            body(request, connection, responder)
        }
    }

    private static func prepare(_ descriptor: Int32) -> Bool {
        Sockets.isStream(descriptor) && (try? Sockets.setNonblocking(descriptor)) != nil
    }
}

// How requests and the channel end.
extension HandoverChannel {
    private func watch() {
        let reading: Readiness = isFull ? [] : .readable
        watcher?.wait(for: outgoing.isEmpty ? reading : reading.union(.writable))
    }

    /// Completes a request; an answer to one that was given up is ignored.
    private func finish(_ id: Int64, _ body: (Completion) -> Void) {
        guard let request = waiting.removeValue(forKey: id) else { return }
        if waiting.isEmpty { timer?.stop() }
        body(request.completion)
    }

    private func fail(_ completion: Completion, _ error: HandoverError) {
        switch completion {
        case .connection(let body): body(.failure(error), .none)
        case .stream(let body): body(.failure(error))
        }
    }

    private func end(_ ending: HandoverEnding) {
        guard socket != nil else { return }
        close()
        onClose(ending)
    }

    private func shut() {
        watcher?.cancel()
        watcher = nil
        timer?.stop()
        outgoing.removeAll()
        unanswered.removeAll()
        waiting.removeAll()
        awaited.removeAll()
        socket = nil
    }
}
