import Crypto
import Iroh
import Platform
import Testing
import WebSocket

@testable import IrohRelayClient

/// A relay's frame in its WebSocket message.
func frame(_ frame: RelayFrame) -> [UInt8] { message(frame.encoded) }

func message(_ payload: [UInt8], _ opcode: WebSocketOpcode = .binary) -> [UInt8] {
    var bytes: [UInt8] = []
    WebSocketHeader(opcode: opcode, payload: payload.count).append(to: &bytes)
    return bytes + payload
}

/// The answer that makes a session's request a WebSocket.
func accepted(_ wire: Wire, version: RelayFrame.Version = .v2, fields: [String: String?] = [:], status: String = "101 Switching Protocols") -> [UInt8] {
    let request = String(decoding: wire.sent(), as: UTF8.self)
    let key = request.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }!.dropFirst(19)
    let usual: [String: String?] = [
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": WebSocketHandshake.accept(key: String(key)),
        "Sec-WebSocket-Protocol": version.name,
    ]
    let lines = usual.merging(fields) { $1 }.compactMap { name, value in value.map { "\(name): \($0)\r\n" } }.sorted()
    return Array("HTTP/1.1 \(status)\r\n\(lines.joined())\r\n".utf8)
}

@Test("an answer that agrees to something else is no relay's", arguments: [
    ["Sec-WebSocket-Accept": "dGhlIHNhbXBsZSBub25jZQ=="], ["Sec-WebSocket-Accept": nil], ["Upgrade": "h2c"], ["Upgrade": nil], ["Connection": "close"],
    ["Connection": nil], ["Sec-WebSocket-Protocol": nil], ["Sec-WebSocket-Protocol": "iroh-relay-v3"],
    ["Sec-WebSocket-Protocol": "iroh-relay-v2, iroh-relay-v1"], ["Sec-WebSocket-Extensions": "permessage-deflate"],
    ["sec-websocket-protocol": "iroh-relay-v1"], ["A b": "c"], ["A": "\u{1}"],
] as [[String: String?]])
func wrongAgreement(fields: [String: String?]) {
    let wire = Wire(nil)
    wire.receive(accepted(wire, fields: fields))
    guard case .badAnswer = wire.failure else {
        Issue.record("\(String(describing: wire.failure))")
        return
    }
}

@Test("header names and the words in them may have any case")
func cases() {
    let wire = Wire(nil)
    wire.receive(accepted(wire, fields: ["Upgrade": "WebSocket", "Connection": "keep-alive, upgrade"]))
    #expect(wire.failure == nil)
}

@Test("another status says what is there instead", arguments: [
    ("302 Found", "http://login.example/", "answered 302 to http://login.example/: a captive portal that wants a browser first, or no relay"),
    ("302 Found", "http://\u{9b}31m/", "answered 302 to http://\\u{9b}31m/: a captive portal that wants a browser first, or no relay"),
    ("200 OK", nil, "answered 200 instead of speaking to us: a captive portal that wants a browser first, or no relay"),
    ("404 Not Found", nil, "answered 404: no relay, or a proxy in front of it that lets no WebSocket through"),
    ("502", nil, "answered 502: out of order, or a proxy in front of it finds no relay"),
] as [(String, String?, String)])
func otherStatus(status: String, location: String?, words: String) {
    let wire = Wire(nil)
    wire.receive(accepted(wire, fields: ["Location": location], status: status))
    #expect(wire.failure?.description == words)
}

@Test("a proxy's refusal is a refusal", arguments: ["401 Unauthorized", "403 Forbidden"])
func proxyRefusal(status: String) {
    let wire = Wire(nil)
    wire.receive(accepted(wire, status: status))
    #expect(wire.failure == .refused("answered \(status.prefix(3))"))
}

@Test("what is not HTTP is not waited for, and endless headers are not read for ever", arguments: [
    "SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 1x1\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1\r\n\r\n", "\r\n",
    "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 2000), "HTTP/1.1 200 " + String(repeating: "x", count: 9000),
    "HTTP/1.1 101 \u{1b}[2J\r\n\r\n", "HTTP/1.1 101 x\r\n folded: line\r\n\r\n", "HTTP/1.1 101 x\r\n: empty\r\n\r\n",
])
func noHTTP(answer: String) {
    for step in [Int.max, 1] {
        let wire = Wire(nil)
        wire.step = step
        wire.receive(answer.utf8)
        guard case .badAnswer = wire.failure else {
            Issue.record("\(String(describing: wire.failure))")
            return
        }
    }
}

private let challenge = RelayFrame.serverChallenge([UInt8](repeating: 7, count: 16))

@Test("a handshake in another order ends the connection", arguments: [
    frame(.serverConfirmsAuth), frame(challenge) + frame(challenge), frame(.ping([1, 2, 3, 4, 5, 6, 7, 8])), frame(.status(.healthy)),
    frame(.datagrams(RelayDatagramHeader(direction: .toClient, id: id(2)), content: [1])), message([]), message([77]), message([0, 1]),
    message([3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), message([3, 1, 0xff]),
])
func wrongHandshake(bytes: [UInt8]) {
    let wire = Wire(nil)
    wire.receive(accepted(wire) + bytes)
    guard case .protocolError = wire.failure else {
        Issue.record("\(String(describing: wire.failure))")
        return
    }
    #expect(wire.news().isEmpty)
}

private func connected() -> Wire {
    let wire = Wire(nil)
    wire.receive(accepted(wire) + frame(challenge) + frame(.serverConfirmsAuth))
    _ = wire.news()
    return wire
}

@Test("frames that no relay sends end the connection", arguments: [
    message([]), message([77]), frame(challenge), frame(.serverConfirmsAuth), frame(.serverDeniesAuth(reason: "no")), message([6, 1, 2]),
    frame(.datagrams(RelayDatagramHeader(direction: .toRelay, id: id(2)), content: [1])), message([7] + [UInt8](repeating: 0, count: 34)),
    message([8, 1]), message([9, 1]), message([12, 1, 2, 3]), message([13]), frame(.health("bad")),
    // WebSocket frames that are none: masked, with reserved bits, of a reserved kind, a long control frame, a piece of nothing, too long.
    [0x82, 0x81, 0, 0, 0, 0, 1], [0xc2, 1, 1], [0x83, 0], [0x89, 126, 0, 126], [0x80, 0], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 2],
    [0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
])
func wrongFrames(bytes: [UInt8]) {
    let wire = connected()
    wire.receive(bytes)
    guard case .protocolError = wire.failure else {
        Issue.record("\(String(describing: wire.failure))")
        return
    }
    #expect(wire.news().isEmpty)
}

@Test("what another client made the relay send is lost, not the connection")
func othersFault() {
    let wire = connected()
    let header = RelayDatagramHeader(direction: .toClient, id: id(2), segmentSize: 5)
    wire.receive(frame(.datagrams(header, content: [])) + frame(.datagrams(header, content: [UInt8](repeating: 1, count: 65536 - 35))))
    #expect(wire.failure == nil)
    #expect(wire.news().isEmpty)
    wire.receive(frame(.datagrams(header, content: [1, 2])))
    #expect(wire.news() == [.datagrams(header, [1, 2])])
}

@Test("pongs that nobody asked for are no answer")
func strayPong() {
    let wire = connected()
    wire.receive(frame(.pong([1, 2, 3, 4, 5, 6, 7, 8])))
    #expect(wire.news().isEmpty)
    #expect(wire.failure == nil)
    #expect(wire.client.roundTrip == nil)
}

@Test("text is ignored, a close is the end, a WebSocket ping is answered with what it holds")
func control() {
    let wire = connected()
    _ = wire.sent()
    wire.receive(message(Array("hello".utf8), .text) + message([], .pong))
    #expect(!wire.client.hasOutput)
    wire.receive(message([1, 2, 3], .ping))
    var pong = wire.sent()
    let read = try? pong.withUnsafeMutableBytes { bytes in
        var reader = WebSocketReader(role: .server, limit: 100)
        return try reader.read(bytes) { kind, payload in
            #expect(kind == .pong && Array(payload) == [1, 2, 3])
            return true
        }
    }
    #expect(read == pong.count)
    wire.receive(message([3, 0xe8], .close))
    #expect(wire.failure == .closed)
}

@Test("a refusal's words are shown escaped and not at any length")
func words() {
    let failure = RelayLinkFailure.refused("\u{1b}[2J\n" + String(repeating: "é", count: 1000))
    #expect(failure.description.utf8.allSatisfy { (0x20...0x7e).contains($0) })
    #expect(failure.description.utf8.count < 2000)
}
