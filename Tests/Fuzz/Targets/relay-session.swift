import Crypto
import FuzzSupport
import Iroh
import IrohRelay
import Platform
import WebSocket

// They serve all inputs: a handshake for each would be most of what is run.
private nonisolated(unsafe) let hub = RelayHub()
private nonisolated(unsafe) let honest = {
    let client = Client(hub, seed: 1)
    client.connect()
    return client
}()

/// A relay with a client that behaves, and one that sends the input: from the first byte, after its request, or after its handshake, as the
/// first byte says. Whatever it sends, the other one still gets its pong, and nothing is left when it goes.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        _ = honest
        let hostile = Client(hub, seed: 2)
        switch bytes.first.map({ $0 % 4 }) {
        case 1: hostile.write(Client.request)
        case 2: hostile.connect()
        // The input is what is in the frames, of any lengths.
        case 3:
            hostile.connect()
            for frame in bytes.dropFirst().split(separator: 0xff) { hostile.send(Array(frame)) }
        default: break
        }
        hostile.write(Array(bytes.dropFirst()))
        honest.send(RelayFrame.ping([1, 2, 3, 4, 5, 6, 7, 8]).encoded)
        precondition(honest.hasPong, "nobody else suffers")
        hostile.vanish()
        precondition(hub.connections == 1 && hub.clients == 1, "nothing is left of who has gone")
    }
}

private final class Client: RelayTransport {
    static let start = Instant(nanoseconds: 1_000_000_000_000)
    static let request = Array("""
        GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: iroh-relay-v2\r\n\r\n
        """.utf8)

    private let key: SecretKey
    private var session: RelaySession?
    private var output: [UInt8] = []

    init(_ hub: RelayHub, seed: UInt8) {
        key = SecretKey(seed: [UInt8](repeating: seed, count: 32))!
        session = hub.open(self, from: IPAddress("192.0.2.1")!, isSecure: false, now: Self.start)
    }

    func outputIsReady() {}
    func setReading(_ reading: Bool) {}
    func close() { session = nil }
    func exportKeyingMaterial(label: String, context: [UInt8], count: Int) -> [UInt8]? { nil }

    func write(_ bytes: [UInt8]) {
        guard let session else { return }
        var buffer = [UInt8](repeating: 0, count: session.unreadCount) + bytes
        buffer.withUnsafeMutableBytes { buffer in
            session.takeUnread(buffer)
            session.receive(buffer, fresh: bytes.count, now: Self.start)
        }
    }

    func send(_ frame: [UInt8]) {
        var bytes: [UInt8] = []
        WebSocketHeader(opcode: .binary, mask: 0, payload: frame.count).append(to: &bytes)
        write(bytes + frame)
    }

    func connect() {
        write(Self.request)
        // The challenge is the last frame: type and 16 bytes.
        let challenge = Array(taken().suffix(16))
        send(RelayFrame.clientAuth(RelayAuthentication(answering: challenge, with: key)).encoded)
        _ = taken()
    }

    private func taken() -> [UInt8] {
        output = []
        session?.withOutput(now: Self.start) { bytes in
            output += bytes
            return bytes.count
        }
        return output
    }

    func vanish() { session?.closed(.left, now: Self.start) }

    var hasPong: Bool { taken().suffix(9) == [10, 1, 2, 3, 4, 5, 6, 7, 8] }
}
