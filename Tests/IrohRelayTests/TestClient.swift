import Crypto
import Iroh
import Platform
import WebSocket

@testable import IrohRelay

/// A client without a network: it hands bytes to its session and reads what that sends.
final class TestClient: RelayTransport {
    static let start = Instant(nanoseconds: 1_000_000_000_000)

    let hub: RelayHub
    let key: SecretKey
    private(set) var session: RelaySession?
    private(set) var isClosed = false
    private(set) var isReading = true
    /// What a TLS connection would export.
    var material: [UInt8]?
    /// Whether it takes what is sent to it.
    var isTaking = true
    private(set) var head = ""
    private(set) var frames: [RelayFrame] = []
    private(set) var closeStatus: UInt16?
    private var reader = WebSocketReader(role: .client, limit: 1 << 20)
    private var received: [UInt8] = []

    init(_ hub: RelayHub, seed: UInt8 = 1, from address: String = "192.0.2.1", now: Instant = start) {
        self.hub = hub
        key = SecretKey(seed: [UInt8](repeating: seed, count: 32))!
        session = hub.open(self, from: IPAddress(address)!, isSecure: false, now: now)
    }

    var id: EndpointID { EndpointID(key.publicKey) }

    func outputIsReady() {}
    func setReading(_ reading: Bool) { isReading = reading }
    func close() { isClosed = true }
    func exportKeyingMaterial(label: String, context: [UInt8], count: Int) -> [UInt8]? {
        label == "iroh-relay handshake v1" && context == id.bytes && count == 32 ? material : nil
    }

    func write(_ bytes: [UInt8], now: Instant = start) {
        guard let session else { return }
        let unread = session.unreadCount
        var buffer = [UInt8](repeating: 0, count: unread) + bytes
        buffer.withUnsafeMutableBytes { buffer in
            session.takeUnread(buffer)
            session.receive(buffer, fresh: bytes.count, now: now)
        }
        take(now: now)
    }

    /// Reads what has been sent to it.
    func take(now: Instant = start) {
        guard isTaking, let session else { return }
        session.withOutput(now: now) { bytes in
            received += bytes
            return bytes.count
        }
        if head.isEmpty, let end = (0..<max(0, received.count - 3)).first(where: { Array(received[$0..<$0 + 4]) == Array("\r\n\r\n".utf8) }) {
            head = String(decoding: received[..<(end + 4)], as: UTF8.self)
            received.removeFirst(end + 4)
        }
        guard head.hasPrefix("HTTP/1.1 101") else { return }
        let taken = try! received.withUnsafeMutableBytes { bytes in
            try reader.read(bytes) { kind, payload in
                switch kind {
                case .binary: frames.append(try! RelayFrame(decoding: payload))
                case .close: closeStatus = UInt16(payload[0]) << 8 | UInt16(payload[1])
                default: break
                }
                return true
            }
        }
        received.removeFirst(taken)
    }

    /// The answer to a request that makes no WebSocket.
    var body: String { String(decoding: received, as: UTF8.self) }

    /// The frames since the last call.
    func news(now: Instant = start) -> [RelayFrame] {
        take(now: now)
        defer { frames = [] }
        return frames
    }

    func send(_ frame: RelayFrame, now: Instant = start) { write(Self.masked(0x82, frame.encoded), now: now) }

    static func masked(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        // A mask of zeros leaves the payload as it is; the reader has its own tests.
        WebSocketHeader(opcode: .binary, mask: 0, payload: payload.count).append(to: &bytes)
        bytes[0] = first
        return bytes + payload
    }

    static func request(_ fields: [String: String] = [:], target: String = "/relay") -> [UInt8] {
        let all = [
            "Host": "relay.test", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "iroh-relay-v2, iroh-relay-v1",
        ].merging(fields) { $1 }
        let lines = all.filter { !$0.value.isEmpty }.map { "\($0.key): \($0.value)\r\n" }.sorted().joined()
        return Array("GET \(target) HTTP/1.1\r\n\(lines)\r\n".utf8)
    }

    /// Opens the WebSocket and answers the challenge.
    @discardableResult
    func connect(_ fields: [String: String] = [:], target: String = "/relay", now: Instant = start) -> Self {
        write(Self.request(fields, target: target), now: now)
        if case .serverChallenge(let challenge)? = news(now: now).first {
            send(.clientAuth(RelayAuthentication(answering: challenge, with: key)), now: now)
        }
        return self
    }

    /// A datagram to another client.
    func send(_ content: [UInt8], to other: TestClient, now: Instant = start) {
        send(.datagrams(RelayDatagramHeader(direction: .toRelay, id: other.id), content: content), now: now)
    }

    func vanish(now: Instant = start) { session?.closed(.left, now: now) }
}

/// What a client gets of ``TestClient/send(_:to:now:)``.
func datagram(_ content: [UInt8], from client: TestClient) -> RelayFrame {
    .datagrams(RelayDatagramHeader(direction: .toClient, id: client.id), content: content)
}
