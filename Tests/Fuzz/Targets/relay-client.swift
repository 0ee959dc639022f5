import Crypto
import FuzzSupport
import Iroh
import IrohRelayClient
import Platform
import WebSocket

private let start = Instant(nanoseconds: 1_000_000_000_000)
private nonisolated(unsafe) let key = SecretKey(seed: [UInt8](repeating: 1, count: 32))!

/// A relay that sends the input: from the first byte, after its answer, or after the handshake, as the first byte says. The second byte is
/// how many bytes come at once. Whatever it sends, what the session keeps is bounded, and it tells only what a connected session may tell.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard bytes.count >= 2 else { return }
        let relay = Relay(step: Int(bytes[1]) + 1)
        let content = Array(bytes.dropFirst(2))
        switch bytes[0] % 4 {
        case 1: relay.accept()
        case 2: relay.take()
        // The input is what is in the frames, of any lengths.
        case 3:
            relay.take()
            for frame in content.split(separator: 0xff) { relay.sendFrame(Array(frame)) }
        default: break
        }
        if bytes[0] % 4 != 3 { relay.send(content) }
        relay.finish()
    }
}

private final class Relay {
    private let session = RelayClientSession(host: "x", key: key, token: "t", queuedBytes: 8192, now: start)
    private let step: Int
    private var unread: [UInt8] = []
    private var hasFailed = false

    init(step: Int) { self.step = step }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty, !hasFailed {
            unread += rest.prefix(step)
            rest = rest.dropFirst(step)
            let before = unread.count
            var taken = 0
            unread.withUnsafeMutableBytes { bytes in
                do { taken = try session.receive(bytes, now: start, answer) } catch { hasFailed = true }
            }
            precondition((0...before).contains(taken), "it takes what there is")
            unread.removeFirst(taken)
            precondition(unread.count <= 65536 + 1 + 14, "more than a frame is not waited for")
        }
    }

    private func answer(_ event: RelayClientEvent) {
        if case .connected = event {} else { precondition(session.isConnected, "nothing is told before") }
        guard case .datagrams(let header, let bytes) = event else { return }
        precondition(header.direction == .toClient && !bytes.isEmpty)
        session.send(bytes, segmentSize: Int(header.segmentSize ?? 1200), to: header.id, ecn: header.ecn, now: start)
    }

    func accept() {
        let request = taken()
        let key = String(decoding: request, as: UTF8.self).split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }!.dropFirst(19)
        send(Array("""
            HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: \(WebSocketHandshake.accept(key: String(key))!)\r
            Sec-WebSocket-Protocol: iroh-relay-v2\r\n\r\n
            """.utf8))
    }

    func take() {
        accept()
        sendFrame(RelayFrame.serverChallenge([UInt8](repeating: 7, count: 16)).encoded)
        sendFrame(RelayFrame.serverConfirmsAuth.encoded)
        precondition(session.isConnected)
    }

    func sendFrame(_ frame: [UInt8]) {
        var bytes: [UInt8] = []
        WebSocketHeader(opcode: .binary, payload: frame.count).append(to: &bytes)
        send(bytes + frame)
    }

    private func taken() -> [UInt8] {
        var bytes: [UInt8] = []
        while session.hasOutput {
            try! session.withOutput { (output: UnsafeRawBufferPointer) throws(RelayLinkFailure) in
                bytes += output
                return output.count
            }
        }
        return bytes
    }

    /// All that it sends are frames of a client that a relay's reader takes.
    func finish() {
        precondition(session.queuedBytes <= 8192 + 4096)
        var bytes = taken()
        // The request and the handshake have gone before, if they have.
        guard session.isConnected, !bytes.starts(with: "GET ".utf8) else { return }
        let count = bytes.count
        let read = try! bytes.withUnsafeMutableBytes { bytes in
            var reader = WebSocketReader(role: .server, limit: 65537)
            return try reader.read(bytes) { kind, payload in
                if kind == .binary { precondition((try? RelayFrame(decoding: payload)) != nil, "it sends frames") }
                return true
            }
        }
        precondition(read == count)
        if !hasFailed, let deadline = session.deadline { try? session.advance(now: deadline) }
    }
}
