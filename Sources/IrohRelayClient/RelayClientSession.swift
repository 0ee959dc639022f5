import Crypto
import Iroh
import Platform
import WebSocket

/// What a session tells.
public enum RelayClientEvent {
    /// The relay has taken us.
    case connected(RelayFrame.Version)
    /// Datagrams of the header's segment size, from the id in it. The bytes are valid until the event has been handled.
    case datagrams(RelayDatagramHeader, UnsafeRawBufferPointer)
    /// The last connection of an id that we sent to has closed.
    case endpointGone(EndpointID)
    /// The time from a ping to its pong: the relay is alive in both directions.
    case roundTrip(Duration)
    /// Another connection with our key has taken over (true), or has gone (false). Meanwhile nothing arrives here.
    case superseded(Bool)
    /// The relay reads less than we send.
    case rateLimited
    /// The relay will end the connection and would have us back after a time.
    case restarting(reconnectIn: Duration)
}

/// One connection to an iroh relay, from its HTTP request to its end, without a socket and without a clock (spec/iroh-wire.md, 4).
public final class RelayClientSession {
    /// From the connection to the relay's yes (4.1).
    static let handshakeTime = Duration.seconds(10)
    /// Without hearing from the relay for this long, it is pinged (4.4).
    static let pingAfter = Duration.seconds(15)
    /// Likewise after something was sent and nothing heard since, so that a connection that has died with the network is not used on for
    /// long. Peers answer sooner, or are gone.
    static let pingAfterSending = Duration.seconds(2)
    /// Who has been heard since then needs no ping.
    static let leastDoubt = Duration.milliseconds(250)
    /// Longest and shortest wait for a pong; between them it is ``pongRoundTrips`` round trips (4.4).
    static let pongTime = Duration.milliseconds(500)...Duration.seconds(5)
    static let pongRoundTrips = 3
    /// Bytes that may wait beyond ``RelaySendLimits/queuedBytes`` for frames that are no datagrams: a few of them, none is larger.
    private static let controlRoom = 4096

    private enum Phase {
        /// Waits for the answer to the request.
        case upgrade(key: String)
        /// Waits to be asked for a proof.
        case handshake
        /// Has proved its key, waits to be taken.
        case proving
        case relaying
        case ended
    }

    private let key: SecretKey
    private let output: SendRing
    private var reader = WebSocketReader(role: .client, limit: RelayFrame.largestBody + 1)
    private var phase: Phase
    private var version = RelayFrame.Version.v2
    var lastHeard: Instant
    /// When the first datagrams were sent since then.
    var unansweredSince: Instant?
    var handshakeUntil: Instant?
    var ping: (bytes: [UInt8], sent: Instant, until: Instant)?
    /// Of the last ping.
    public private(set) var roundTrip: Duration?
    /// Datagrams' bytes dropped because too much waited.
    public private(set) var droppedBytes: UInt64 = 0

    /// - Parameters:
    ///   - host: The value of the request's `Host`: host and port of the URL.
    ///   - token: One word of printable ASCII that the relay may ask for.
    ///   - queuedBytes: Bytes that may wait to be sent.
    public init(host: String, key: SecretKey, token: String?, queuedBytes: Int = RelaySendLimits.queuedBytes, now: Instant) {
        self.key = key
        output = SendRing(capacity: queuedBytes + Self.controlRoom)
        lastHeard = now
        handshakeUntil = now + Self.handshakeTime
        let nonce = base64(randomBytes(16))
        phase = .upgrade(key: nonce)
        var lines = ["GET /relay HTTP/1.1", "Host: \(host)", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: \(nonce)"]
        lines += ["Sec-WebSocket-Version: \(WebSocketHandshake.version)", "Sec-WebSocket-Protocol: \(UpgradeResponse.offered)"]
        if let token { lines.append("Authorization: Bearer \(token)") }
        output.append(raw: (lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    /// Whether datagrams can be sent.
    public var isConnected: Bool { if case .relaying = phase { true } else { false } }

    // MARK: Receiving

    /// Takes bytes from the relay and tells what they mean.
    ///
    /// - Parameter bytes: Those not taken before and fresh ones behind them. They are changed.
    /// - Returns: How many of the first bytes have been taken.
    /// - Throws: Why the connection can't go on.
    public func receive(
        _ bytes: UnsafeMutableRawBufferPointer, now: Instant, _ tell: (RelayClientEvent) -> Void
    ) throws(RelayLinkFailure) -> Int {
        lastHeard = now
        unansweredSince = nil
        var rest = bytes
        if case .upgrade(let key) = phase {
            guard let response = try UpgradeResponse(decoding: UnsafeRawBufferPointer(bytes), key: key) else { return 0 }
            version = response.version
            phase = .handshake
            rest = UnsafeMutableRawBufferPointer(rebasing: bytes[response.length...])
        }
        var failure: RelayLinkFailure?
        let taken: Int
        do throws(WebSocketError) {
            taken = try reader.read(rest) { kind, payload in
                do throws(RelayLinkFailure) { try take(kind, payload, now: now, tell) } catch { failure = error }
                if case .ended = phase { return false }
                return failure == nil
            }
        } catch {
            throw .protocolError(error == .messageTooLarge ? "a message longer than any frame" : "what is no WebSocket frame")
        }
        if let failure { throw failure }
        return bytes.count - rest.count + taken
    }

    private func take(
        _ kind: WebSocketReader.Kind, _ payload: UnsafeRawBufferPointer, now: Instant, _ tell: (RelayClientEvent) -> Void
    ) throws(RelayLinkFailure) {
        switch kind {
        case .binary:
            if case .relaying = phase { try handle(payload, now: now, tell) } else { try shakeHands(payload, now: now, tell) }
        case .ping: enqueue(.pong, payload)
        case .text, .pong: break
        case .close: throw .closed
        }
    }

    private func shakeHands(_ bytes: UnsafeRawBufferPointer, now: Instant, _ tell: (RelayClientEvent) -> Void) throws(RelayLinkFailure) {
        switch (phase, try decoded(bytes)) {
        case (.handshake, .serverChallenge(let challenge)):
            phase = .proving
            enqueue(.clientAuth(RelayAuthentication(answering: challenge, with: key)))
        case (.proving, .serverConfirmsAuth):
            phase = .relaying
            handshakeUntil = nil
            tell(.connected(version))
            // It shows that the way is open in both directions, and how long it is.
            sendPing(now: now)
        case (_, .serverDeniesAuth(let reason)): throw .refused(reason)
        default: throw .protocolError("a frame that has no place in the handshake")
        }
    }

    private func handle(_ bytes: UnsafeRawBufferPointer, now: Instant, _ tell: (RelayClientEvent) -> Void) throws(RelayLinkFailure) {
        if let type = bytes.first, RelayDatagramHeader.isType(type) { return try handleDatagrams(bytes, tell) }
        switch try decoded(bytes) {
        case .endpointGone(let id): tell(.endpointGone(id))
        case .ping(let bytes): enqueue(.pong(bytes))
        case .pong(let bytes):
            guard let ping, bytes == ping.bytes else { return }
            let time = now - ping.sent
            roundTrip = time
            self.ping = nil
            tell(.roundTrip(time))
        case .restarting(let reconnectIn, _): tell(.restarting(reconnectIn: .milliseconds(Int64(reconnectIn))))
        case .status(let status) where version >= .v2:
            switch status {
            case .healthy: tell(.superseded(false))
            case .sameIDConnected: tell(.superseded(true))
            case .rateLimited: tell(.rateLimited)
            // One that came later than this.
            case .other: break
            }
        // In words for people; no words mean that all is well again.
        case .health(let text) where version == .v1: tell(.superseded(!text.isEmpty))
        default: throw .protocolError("a frame that no relay sends")
        }
    }

    private func handleDatagrams(_ bytes: UnsafeRawBufferPointer, _ tell: (RelayClientEvent) -> Void) throws(RelayLinkFailure) {
        let header: RelayDatagramHeader
        do throws(RelayFrameError) { header = try RelayDatagramHeader(decoding: bytes) } catch {
            switch error {
            // What another client has sent is not the relay's fault: it is lost as any datagram may be.
            case .noDatagram, .tooLarge: return
            case .malformed, .unknownType: throw .protocolError("a malformed frame")
            }
        }
        guard header.direction == .toClient else { throw .protocolError("a frame that no relay sends") }
        tell(.datagrams(header, UnsafeRawBufferPointer(rebasing: bytes[header.length...])))
    }

    private func decoded(_ bytes: UnsafeRawBufferPointer) throws(RelayLinkFailure) -> RelayFrame {
        do throws(RelayFrameError) { return try RelayFrame(decoding: bytes) } catch {
            switch error {
            case .unknownType(let type): throw .protocolError("a frame of the unknown type \(type)")
            case .malformed, .noDatagram, .tooLarge: throw .protocolError("a malformed frame")
            }
        }
    }

    // MARK: Sending

    /// Sends datagrams of `segmentSize` bytes each, the last may be shorter, in as few frames as may be. They are dropped when too much
    /// waits already, or while the session is not connected.
    ///
    /// - Parameter ecn: The ECN bits of the IP header.
    public func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, to id: EndpointID, ecn: UInt8, now: Instant) {
        guard isConnected, segmentSize > 0 else { return }
        if unansweredSince == nil { unansweredSince = now }
        var rest = bytes
        while !rest.isEmpty {
            let most = max(1, RelaySendLimits.batchBytes / segmentSize) * segmentSize
            let batch = UnsafeRawBufferPointer(rebasing: rest.prefix(most))
            rest = UnsafeRawBufferPointer(rebasing: rest[batch.count...])
            let isBatch = batch.count > segmentSize
            let header = RelayDatagramHeader(
                direction: .toRelay, id: id, ecn: ecn & 3, segmentSize: isBatch ? UInt16(truncatingIfNeeded: segmentSize) : nil)
            let size = header.length + batch.count
            guard size <= RelayFrame.largestSent, SendRing.size(size) + Self.controlRoom <= output.free else {
                droppedBytes += UInt64(batch.count)
                continue
            }
            header.withEncoded { output.append(.binary, $0, batch) }
        }
    }

    func enqueue(_ frame: RelayFrame) { frame.encoded.withUnsafeBytes { enqueue(.binary, $0) } }

    private func enqueue(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer) {
        // Whoever asks for so many pongs and takes none gets no more.
        guard SendRing.size(payload.count) <= output.free else { return }
        output.append(opcode, payload)
    }

    /// Says good-bye (RFC 6455, 7.4: status 1000).
    public func close() {
        if case .upgrade = phase { return }
        withUnsafeBytes(of: UInt16(1000).bigEndian) { enqueue(.close, $0) }
        phase = .ended
    }

    /// Whether something waits to be sent.
    public var hasOutput: Bool { output.count > 0 }
    /// Bytes that wait to be sent.
    public var queuedBytes: Int { output.count }

    /// Gives bytes that wait to `body`, which sends as many of the first as it can and returns how many these were. Until they have been
    /// sent they stay where they are.
    public func withOutput(_ body: (UnsafeRawBufferPointer) throws(RelayLinkFailure) -> Int) throws(RelayLinkFailure) {
        guard hasOutput else { return }
        output.drop(try body(output.first))
    }
}
