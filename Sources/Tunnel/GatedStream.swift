import EventLoop
import Glibc
import HTTPGate
import Platform

/// A stream that passes through the bridge: between the socket whose other end `quic-listen` was handed, and the target, which is connected
/// to when the first request, or the first byte of TLS, is there. So whoever only opens streams costs the target nothing.
final class GatedStream {
    /// Where requests go, and streams that begin with TLS; not both are denied.
    struct Targets {
        var http: Result<HostAndPort, AccessControl.Denial>
        var tls: Result<HostAndPort, AccessControl.Denial>?
    }

    /// What it needs of its bridge.
    struct Surroundings {
        let loop: EventLoop
        /// What one read takes; shared by all, for none keeps anything in it.
        let buffer: UnsafeMutableRawBufferPointer
        /// Connects to a target.
        let connect: (HostAndPort, @escaping (Result<DescriptorOwner, SystemError>) -> Void) -> Void
        /// A request is answered in the server's place, with this status.
        let onAnswer: (Int) -> Void
        /// The stream is over.
        let onEnd: (GatedStream) -> Void
        /// A target is refused to the peer, which only the first byte has shown.
        let onDenied: (AccessControl.Denial) -> Void
    }

    /// Reads of a side before others get their turn.
    private static let readsPerTurn = 4
    /// What a TLS connection begins with: a handshake record (RFC 8446, 5.1).
    private static let tlsHandshake: UInt8 = 0x16

    private enum Mode { case unknown, http, transparent, lingering, closed }

    private let targets: Targets
    private let surroundings: Surroundings
    private let client = GateSide()
    private let server = GateSide()
    private var gate: HTTPGate
    private var mode = Mode.unknown
    private var isConnecting = false
    /// What the client has sent while its request has to wait.
    private var held: [UInt8] = []
    /// Why the client's bytes are not looked at any more, once the responses before have gone out.
    private var refusal: GateError?
    private var patience: StreamPatience
    private var isClientGone = false
    /// Since when nothing has passed, as far as has been looked.
    private(set) var silentSince: Instant

    /// - Throws: ``SystemError`` when the socket can't be watched.
    init(_ socket: consuming FileDescriptor, to targets: Targets, _ gate: HTTPGate, _ surroundings: Surroundings) throws(SystemError) {
        self.targets = targets
        self.gate = gate
        self.surroundings = surroundings
        let now = Instant.now
        patience = StreamPatience(now: now)
        silentSince = now
        try client.attach(socket, on: surroundings.loop) { [unowned self] in ready(client, $0) { readClient() } }
        update()
    }

    /// Whether nothing is asked or answered at present.
    var isIdle: Bool { (mode == .unknown || mode == .http) && gate.outstanding == 0 && !isConnecting && refusal == nil }
    /// Bytes in memory for it.
    var keptCount: Int { client.keptCount + server.keptCount + held.count + gate.keptCount }
    /// Since when it waits for what it waits for.
    var waitsSince: Instant { patience.since }

    /// Looks whether the client has taken too long.
    func check(now: Instant) {
        if patience.hasProgressed { silentSince = now }
        guard patience.isOver(now: now) else { return }
        switch patience.reason {
        case .head where gate.outstanding == 0, .body where gate.outstanding == 1 && gate.isAnswerable: answer(408, "the request takes too long to come")
        default: return close()
        }
        update()
    }

    /// The client has gone for good; what it has sent to a transparent target still gets there.
    func clientHasGone() {
        guard mode == .transparent else { return close() }
        isClientGone = true
        readClient()
        update()
    }

    func close() {
        guard mode != .closed else { return }
        server.close(abruptly: isServerOwed)
        mode = .closed
        client.close()
        surroundings.onEnd(self)
    }
}

// From the client.
extension GatedStream {
    /// Whether the server would take what it has for all if its connection just ended.
    private var isServerOwed: Bool {
        mode == .transparent ? !client.hasEnded || server.isFull : gate.outstanding > 0 || gate.isInsideBody
    }

    private func ready(_ side: GateSide, _ readiness: Readiness, _ read: () -> Void) {
        // Its owner may let go of it meanwhile.
        withExtendedLifetime(self) {
            if readiness.contains(.writable) { side.flush() }
            if readiness.contains(.readable) { read() }
            update()
        }
    }

    private func readClient() {
        for _ in 0..<Self.readsPerTurn where wantsClient {
            guard let count = client.read(into: surroundings.buffer) else { return }
            patience.hasProgressed = true
            guard count > 0 else { return clientEnded() }
            take(UnsafeRawBufferPointer(rebasing: surroundings.buffer[..<count]))
            // There is most often nothing behind a short piece; if there is, the loop says so.
            if count < surroundings.buffer.count { return }
        }
    }

    private var wantsClient: Bool { !client.hasEnded && (mode == .lingering || held.isEmpty && !server.isFull && refusal == nil) }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        if mode == .unknown { begin(with: bytes[0]) }
        switch mode {
        case .transparent: server.send(bytes)
        case .http: takeRequests(bytes)
        default: break
        }
    }

    private func begin(with byte: UInt8) {
        mode = .http
        guard byte == Self.tlsHandshake, let tls = targets.tls else { return }
        switch tls {
        case .success(let target):
            mode = .transparent
            connect(to: target)
        case .failure(let denial):
            surroundings.onDenied(denial)
            close()
        }
    }

    private func takeRequests(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        do throws(GateError) {
            while !rest.isEmpty {
                let (count, output) = try gate.request(rest)
                guard count > 0 else {
                    held = Array(rest)
                    break
                }
                switch output {
                case .nothing: break
                case .same: server.send(UnsafeRawBufferPointer(rebasing: rest[..<count]))
                case .bytes(let head):
                    server.queue(head)
                    guard reachServer() else { return }
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            server.flush()
        } catch {
            refuse(error)
        }
    }

    /// Connects to the server unless that was done.
    ///
    /// - Returns: Whether the client may have it.
    private func reachServer() -> Bool {
        guard !server.isConnected, !isConnecting, !server.isBroken else { return true }
        switch targets.http {
        case .success(let target): connect(to: target)
        case .failure(let denial):
            surroundings.onDenied(denial)
            answer(403, "\(denial)")
            return false
        }
        return mode == .http
    }

    /// Of a request that is refused in its midst the server knows a part already.
    private func refuse(_ error: GateError) {
        refusal = error
        if gate.isInsideBody {
            if gate.outstanding == 1, gate.isAnswerable { answer(error.status, error.reason) } else { close() }
        } else {
            server.flush()
            answerRefusal()
        }
    }

    private func answerRefusal() {
        guard let refusal, gate.outstanding == 0, mode == .http else { return }
        answer(refusal.status, refusal.reason)
    }

    private func clientEnded() {
        switch mode {
        case .transparent: server.finish()
        // The server would give up on responses to requests that are whole.
        case .http where gate.isInsideBody: server.finish()
        case .http where gate.isInsideHead: refuse(.request(.malformed("the request is cut off")))
        default: break
        }
    }
}

// To the server and back.
extension GatedStream {
    private func connect(to target: HostAndPort) {
        isConnecting = true
        surroundings.connect(target) { [weak self] result in
            guard let self, mode == .http || mode == .transparent else { return }
            isConnecting = false
            do throws(SystemError) {
                guard let socket = try result.get().take() else { return }
                try server.attach(socket, on: surroundings.loop) { [unowned self] in ready(server, $0) { readServer() } }
                update()
            } catch {
                if mode == .transparent { return close() }
                answer(error.code == ETIMEDOUT ? 504 : 502, "the server can't be reached: \(error.reason)")
                update()
            }
        }
    }

    private func readServer() {
        for _ in 0..<Self.readsPerTurn where !server.hasEnded && !client.isFull && (mode == .http || mode == .transparent) {
            guard let count = server.read(into: surroundings.buffer) else { return }
            patience.hasProgressed = true
            guard count > 0 else { return serverEnded() }
            let bytes = UnsafeRawBufferPointer(rebasing: surroundings.buffer[..<count])
            if mode == .http, !follow(bytes) { return }
            client.send(bytes)
            if mode == .http { goOn() }
            if count < surroundings.buffer.count { return }
        }
    }

    /// - Returns: Whether the bytes may be passed on.
    private func follow(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let isAnswerable = gate.isAnswerable
        do throws(GateError) { try gate.response(bytes) } catch {
            if isAnswerable, gate.outstanding > 0 { answer(error.status, error.reason) } else { close() }
            return false
        }
        return true
    }

    /// A response may be what the client's next bytes have waited for.
    private func goOn() {
        if !held.isEmpty, !gate.isHeld {
            let bytes = held
            held = []
            bytes.withUnsafeBytes { gate.isTunnel ? server.send($0) : takeRequests($0) }
        }
        if gate.isTunnel { mode = .transparent }
        answerRefusal()
    }

    private func serverEnded() {
        guard mode == .http else { return client.finish() }
        let isAnswerable = gate.isAnswerable
        if gate.serverEnded() {
            linger()
        } else if isAnswerable, gate.outstanding == gate.requestCount {
            answer(502, "the server has closed the connection without an answer")
        } else {
            // Between requests a server may close when it likes, and a client that sees just that may ask again (RFC 9112, 9.3.1).
            close()
        }
    }
}

// The end.
extension GatedStream {
    /// Answers in the server's place, and ends.
    private func answer(_ status: Int, _ reason: String) {
        guard mode == .http || mode == .unknown else { return }
        surroundings.onAnswer(status)
        client.queue(gate.answer(status, reason))
        linger()
    }

    /// Sends what there is, then waits for the client to end too: closed at once, with its bytes unread, the stream would be broken off and
    /// the answer lost.
    private func linger() {
        server.close(abruptly: isServerOwed)
        mode = .lingering
        held = []
        client.finish()
    }

    /// Sees what there is to wait for, and whether all is done.
    private func update() {
        guard mode != .closed else { return }
        if client.isBroken { return close() }
        switch mode {
        case .unknown where client.hasEnded: return close()
        case .transparent where client.hasEnded && server.hasEnded && !client.isFull && !server.isFull: return close()
        case .transparent where server.hasEnded && server.isBroken: linger()
        case .http where gate.isOver || client.hasEnded && gate.outstanding == 0 && held.isEmpty: linger()
        default: break
        }
        if client.hasEnded, mode == .lingering, !client.isFull { return close() }
        client.wait(toRead: wantsClient)
        server.wait(toRead: !server.hasEnded && !client.isFull)
        patience.wait(reasonToWait, now: .now)
    }

    private var reasonToWait: StreamPatience.Reason {
        switch mode {
        case .unknown: .head(0)
        case .lingering where client.isFull: .nothing
        case .lingering, .closed: .lingering
        case .transparent where isClientGone: .lingering
        case .http where refusal != nil || !wantsClient: .nothing
        case .http where gate.isInsideHead: .head(gate.requestCount)
        case .http where gate.isInsideBody: .body
        case .http where gate.outstanding == 0: .idle
        default: .nothing
        }
    }
}
