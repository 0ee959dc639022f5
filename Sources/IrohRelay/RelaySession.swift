import Crypto
import HTTP1
import Iroh
import Platform
import WebSocket

/// One connection to the relay, from its HTTP request to its end, without a socket and without a clock.
///
/// Between messages it holds no buffer: what has been read of an incomplete one is kept until the rest comes, and a buffer for what is to be
/// sent is borrowed while something waits.
public final class RelaySession {
    enum Phase {
        /// Waits for an HTTP request.
        case request
        /// A WebSocket whose client has been asked to prove its id.
        case handshake(challenge: [UInt8], token: String?)
        case relaying(RelayEndpoint)
        /// Sends what is left, takes nothing more.
        case ending
    }

    unowned let hub: RelayHub
    // The two hold each other until the connection is closed.
    var transport: RelayTransport?
    /// The client's, as far as known: behind a trusted proxy, what that tells.
    var address: IPAddress
    /// Whether this connection counts for its address.
    var isCounted: Bool
    let isSecure: Bool
    var phase = Phase.request
    var version = RelayFrame.Version.v2
    /// What the client was admitted with.
    var token: String?
    /// When something has to have happened: the handshake, a pong, the end. None while a client is connected and not pinged.
    var deadline: Instant?
    var lastHeard: Instant
    var pingAfter: Duration
    var awaitedPong: [UInt8]?
    /// Since when the first of the messages that wait is being sent.
    var stalledSince: Instant?
    var rate: ByteRate?
    var isPaused = false
    var wasRateLimited = false
    /// Where it stands in the hub's list.
    var index = 0
    /// The last one sent to, which the next frame is most often for, too.
    var latestDestination: RelayEndpoint?
    private var reader = WebSocketReader(role: .server, limit: RelayFrame.largestBody + 1)
    private var unread: [UInt8] = []
    private(set) var output: SendBuffer?

    init(hub: RelayHub, transport: RelayTransport, address: IPAddress, isCounted: Bool, isSecure: Bool, now: Instant) {
        self.hub = hub
        self.transport = transport
        self.address = address
        self.isCounted = isCounted
        self.isSecure = isSecure
        lastHeard = now
        deadline = now + RelaySettings.handshakeTime
        pingAfter = RelaySettings.pingAfter + .nanoseconds(Int64.random(in: RelaySettings.pingSpread))
    }

    /// Bytes that have been read before and have to stand in front of what is read next.
    public var unreadCount: Int { unread.count }

    /// Moves them to the beginning of a buffer with more room than they take.
    public func takeUnread(_ buffer: UnsafeMutableRawBufferPointer) {
        buffer.copyBytes(from: unread)
        unread = []
    }

    /// Takes bytes from the client.
    ///
    /// - Parameters:
    ///   - bytes: Those that had been unread and fresh ones behind them. They are changed.
    ///   - fresh: How many have come just now.
    public func receive(_ bytes: UnsafeMutableRawBufferPointer, fresh: Int, now: Instant) {
        lastHeard = now
        var rest = bytes
        do {
            if case .request = phase {
                guard let length = try hub.answerRequest(self, UnsafeRawBufferPointer(rest), now: now) else { return keep(rest) }
                rest = UnsafeMutableRawBufferPointer(rebasing: rest[length...])
            }
            if case .ending = phase { return }
            let taken = try reader.read(rest) { kind, payload in take(kind, payload, now: now) }
            keep(UnsafeMutableRawBufferPointer(rebasing: rest[taken...]))
        } catch let error as MessageError {
            hub.counters.badRequests += 1
            let isLong = error == .headTooLarge
            respond(RelayAnswer(isLong ? 431 : 400, text: isLong ? "too many headers\n" : "not an HTTP/1.1 request\n"), now: now)
        } catch let error as WebSocketError {
            hub.counters.protocolErrors += 1
            end(.protocolError("bad WebSocket frame"), status: error.closeStatus, now: now)
        } catch { preconditionFailure("no other errors: \(error)") }
        if case .relaying = phase { hub.limit(self, fresh, now: now) }
    }

    private func keep(_ rest: UnsafeMutableRawBufferPointer) {
        if case .ending = phase { return }
        unread = Array(rest)
    }

    private func take(_ kind: WebSocketReader.Kind, _ payload: UnsafeRawBufferPointer, now: Instant) -> Bool {
        switch kind {
        case .binary: handle(payload, now: now)
        case .ping: enqueue(WebSocketHeader(opcode: .pong, payload: payload.count), now: now) { $0.append(contentsOf: payload) }
        case .text, .pong: break
        case .close: end(.left, status: 1000, now: now)
        }
        if case .ending = phase { return false }
        return true
    }

    private func handle(_ frame: UnsafeRawBufferPointer, now: Instant) {
        switch phase {
        case .relaying(let endpoint):
            if let type = frame.first, RelayDatagramHeader.isType(type) {
                hub.forward(frame, from: endpoint, self, now: now)
            } else {
                answer(frame, now: now)
            }
        case .handshake(let challenge, let token):
            guard case .clientAuth(let proof)? = try? RelayFrame(decoding: frame) else { return failProtocol("no proof of its id", now: now) }
            guard proof.answers(challenge) else { return deny(proof.id, "signature invalid", now: now) }
            hub.admit(self, proof.id, token: token, now: now)
        case .request, .ending: break
        }
    }

    private func answer(_ frame: UnsafeRawBufferPointer, now: Instant) {
        switch try? RelayFrame(decoding: frame) {
        case .ping(let bytes): send(.pong(bytes), now: now)
        case .pong(let bytes):
            if bytes == awaitedPong { (awaitedPong, deadline) = (nil, nil) }
        default: failProtocol("a frame that no client sends", now: now)
        }
    }

    func failProtocol(_ reason: String, now: Instant) {
        hub.counters.protocolErrors += 1
        end(.protocolError(reason), status: 1002, now: now)
    }

    func deny(_ id: EndpointID, _ reason: String, now: Instant) {
        hub.counters.denied += 1
        hub.onEvent?(.denied(id, address, reason: reason))
        send(.serverDeniesAuth(reason: reason), now: now)
        end(.left, status: 1008, now: now)
    }
}

// Sending.
extension RelaySession {
    func send(_ frame: RelayFrame, now: Instant) {
        let bytes = frame.encoded
        enqueue(WebSocketHeader(opcode: .binary, payload: bytes.count), now: now) { $0 += bytes }
    }

    /// Sends one WebSocket message; false when so much waits that it is dropped.
    @discardableResult
    func enqueue(_ header: WebSocketHeader, now: Instant, _ write: (inout [UInt8]) -> Void) -> Bool {
        let buffer = borrowedOutput()
        let size = header.length + header.payload
        guard buffer.messages < RelaySettings.queuedFrames, hub.allows(size, after: buffer.count) else { return false }
        buffer.append(header, write)
        queued(size, now: now)
        return true
    }

    /// Answers the request and ends the connection: nobody asks a relay twice.
    func respond(_ answer: RelayAnswer, now: Instant) {
        let bytes = answer.encoded(isSecure: isSecure)
        borrowedOutput().append(raw: bytes)
        queued(bytes.count, now: now)
        phase = .ending
        deadline = now + RelaySettings.endingTime
    }

    /// Sends the head that makes the connection a WebSocket.
    func upgrade(_ head: String, now: Instant) {
        let bytes = Array(head.utf8)
        borrowedOutput().append(raw: bytes)
        queued(bytes.count, now: now)
    }

    private func borrowedOutput() -> SendBuffer {
        if let output { return output }
        let buffer = hub.buffers.take()
        output = buffer
        return buffer
    }

    private func queued(_ count: Int, now: Instant) {
        hub.queuedBytes += count
        if stalledSince == nil { stalledSince = now }
        transport?.outputIsReady()
    }

    /// Whether something waits to be sent.
    public var hasOutput: Bool { output != nil }
    /// Whether nothing more will be sent once the output is.
    public var isEnding: Bool { if case .ending = phase { true } else { false } }

    /// Gives what waits to `body`, which sends as much as it can and returns how many bytes that was.
    public func withOutput(now: Instant, _ body: (UnsafeRawBufferPointer) throws -> Int) rethrows {
        guard let output else { return }
        let count = try output.withBytes(body)
        guard count > 0 else { return }
        if output.drop(count) { stalledSince = now }
        hub.queuedBytes -= count
        hub.counters.bytesSent += UInt64(count)
        if output.count == 0 { returnOutput() }
    }

    private func returnOutput() {
        stalledSince = nil
        if let output {
            hub.queuedBytes -= output.count
            hub.buffers.give(output)
        }
        output = nil
    }
}

// The end.
extension RelaySession {
    /// Why a connection ended, for the log.
    public enum Ending: Equatable, Sendable, CustomStringConvertible {
        /// The client closed it, or it was turned away.
        case left
        case protocolError(String)
        /// It did not answer a ping, or did not prove its id in time.
        case silent
        /// It did not take what was sent.
        case slow
        case restarting
        /// The access list does not have it any more.
        case denied
        /// A newer connection of the same id needed the room.
        case superseded
        case transportFailed(String)

        public var description: String {
            switch self {
            case .left: "it left"
            case .protocolError(let what): "it sent \(what)"
            case .silent: "it was silent"
            case .slow: "it took nothing of what was sent for two seconds"
            case .restarting: "the relay ends"
            case .denied: "it is not allowed any more"
            case .superseded: "newer connections of its id need the room"
            case .transportFailed(let reason): reason
            }
        }
    }

    /// Says good-bye with a WebSocket status (RFC 6455, 7.4), and takes nothing more.
    func end(_ reason: Ending, status: UInt16, now: Instant) {
        if case .ending = phase { return }
        hub.leave(self, reason, now: now)
        enqueue(WebSocketHeader(opcode: .close, payload: 2), now: now) { $0 += [UInt8(status >> 8), UInt8(status & 0xff)] }
        phase = .ending
        unread = []
        deadline = now + RelaySettings.endingTime
        setPaused(false)
        // Also when nothing could be queued: the transport has to see that this is the end.
        transport?.outputIsReady()
    }

    /// The transport has closed, or closes now.
    public func closed(_ reason: Ending, now: Instant) {
        guard let transport else { return }
        hub.leave(self, reason, now: now)
        phase = .ending
        unread = []
        returnOutput()
        hub.remove(self)
        self.transport = nil
        transport.close()
    }

    func setPaused(_ paused: Bool) {
        guard paused != isPaused else { return }
        isPaused = paused
        transport?.setReading(!paused)
    }
}
