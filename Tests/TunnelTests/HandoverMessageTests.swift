import Crypto
import Iroh
import Platform
import Testing

@testable import Tunnel

private let key = SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))!.publicKey

@Test("a message reads as it was written", arguments: [
    HandoverMessage.open(id: 0, HandoverRequest(peer: key, alpn: "pubky/iroh-homeserver/0", path: "direct", remote: "[::1]:7")),
    .open(id: 7, HandoverRequest(peer: nil, data: Array("GET / HTTP/1.1\r\n".utf8))),
    .open(id: 7, HandoverRequest(peer: nil, data: [UInt8](repeating: 0xff, count: HandoverRequest.mostData))),
    .opened(id: .max, path: "relay"), .opened(id: 3, path: nil), .opened(id: 3, path: "relay", remote: "https://relay.example/"),
    .failed(id: 4, HandoverRefusal("no\nway \u{1}")),
    .failed(id: 4, HandoverRefusal("no way", status: 69, attempts: [
        .init(path: "direct", remote: "192.0.2.1:7", reason: "no answer", after: .milliseconds(100))
    ])),
    .open(id: 1, HandoverRequest(peer: key, endpoint: EndpointAddress(id: key, addresses: [SocketAddress("192.0.2.1:7")!]))),
])
func roundTrip(_ message: HandoverMessage) throws {
    let line = message.line
    #expect(line.count <= HandoverMessage.longestLine)
    #expect(line.firstIndex(of: 0x0a) == line.count - 1)
    #expect(try HandoverMessage(parsing: Array(line.dropLast())) == message)
}

@Test("fields that are not known, and messages of a later version, are passed over")
func later() throws {
    #expect(try HandoverMessage(parsing: Array(#"{"open":{"id":1,"peer":null,"x":[]},"y":1}"#.utf8)) == .open(id: 1, HandoverRequest(peer: nil)))
    #expect(try HandoverMessage(parsing: Array(#"{"ping":1}"#.utf8)) == .unknown)
}

private let meaningless = [
    "", "{", "[]", "1", "\u{0}", #"{"open":1}"#, #"{"open":{}}"#, #"{"open":{"id":-1}}"#, #"{"open":{"id":1.5}}"#, #"{"open":{"id":"1"}}"#,
    #"{"open":{"id":1,"peer":"x"}}"#, #"{"open":{"id":1,"peer":5}}"#, #"{"open":{"id":1,"data":"*"}}"#, #"{"open":{"id":1,"data":"YQ"}}"#,
    #"{"ok":true}"#, #"{"ok":true,"id":99999999999999999999}"#, #"{"ok":true,"id":1,"path":5}"#, #"{"id":1,"error":5}"#, #"{"error":"x"}"#,
    #"{"id":1,"id":2,"ok":true}"#, #"{"open":{"id":1,"peer":null,"endpoint":5}}"#, #"{"open":{"id":1,"peer":null,"endpoint":{}}}"#,
    #"{"open":{"id":1,"peer":null,"endpoint":{"endpoint_id":"\#(key)"}}}"#,
    #"{"open":{"id":1,"peer":"\#(key)","endpoint":{"endpoint_id":"\#(key)","addresses":["nowhere"]}}}"#,
]

@Test("what no version can mean is refused", arguments: meaningless)
func refused(_ line: String) { #expect(throws: HandoverSyntaxError.self) { try HandoverMessage(parsing: Array(line.utf8)) } }

@Test("more data than agreed is refused")
func tooMuchData() {
    let line = #"{"open":{"id":1,"data":"\#(base64([UInt8](repeating: 0, count: HandoverRequest.mostData + 1)))"}}"#
    #expect(throws: HandoverSyntaxError.self) { try HandoverMessage(parsing: Array(line.utf8)) }
}

@Test("what explains a refusal is bounded, and left out when it has another form")
func refusals() throws {
    let line = #"{"id":1,"error":"no","status":"x","failed":[1,{"path":"direct"},{"path":"relay","remote":"r","reason":"w","after_ms":-5}]}"#
    let attempt = HandoverRefusal.Attempt(path: "relay", remote: "r", reason: "w", after: .zero)
    #expect(try HandoverMessage(parsing: Array(line.utf8)) == .failed(id: 1, HandoverRefusal("no", attempts: [attempt])))

    let long = HandoverRefusal.Attempt(path: "direct", remote: "r", reason: String(repeating: "x", count: 5000), after: .zero)
    let message = HandoverMessage.failed(id: 1, HandoverRefusal("no", attempts: [HandoverRefusal.Attempt](repeating: long, count: 1000)))
    let bytes = message.line
    #expect(bytes.count <= HandoverMessage.longestLine)
    guard case .failed(_, let read) = try HandoverMessage(parsing: Array(bytes.dropLast())) else { return #expect(Bool(false)) }
    #expect(read.attempts.count == 32)
}
