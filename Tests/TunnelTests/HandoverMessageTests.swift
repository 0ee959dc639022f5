import Crypto
import Testing

@testable import Tunnel

private let key = SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))!.publicKey

@Test("a message reads as it was written", arguments: [
    HandoverMessage.open(id: 0, HandoverRequest(peer: key, alpn: "pubky/iroh-homeserver/0", path: "direct", remote: "[::1]:7")),
    .open(id: 7, HandoverRequest(peer: nil, data: Array("GET / HTTP/1.1\r\n".utf8))),
    .open(id: 7, HandoverRequest(peer: nil, data: [UInt8](repeating: 0xff, count: HandoverRequest.mostData))),
    .opened(id: .max, path: "relay"), .opened(id: 3, path: nil), .failed(id: 4, reason: "no\nway \u{1}"),
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

@Test("what no version can mean is refused", arguments: [
    "", "{", "[]", "1", "\u{0}", #"{"open":1}"#, #"{"open":{}}"#, #"{"open":{"id":-1}}"#, #"{"open":{"id":1.5}}"#, #"{"open":{"id":"1"}}"#,
    #"{"open":{"id":1,"peer":"x"}}"#, #"{"open":{"id":1,"peer":5}}"#, #"{"open":{"id":1,"data":"*"}}"#, #"{"open":{"id":1,"data":"YQ"}}"#,
    #"{"ok":true}"#, #"{"ok":true,"id":99999999999999999999}"#, #"{"ok":true,"id":1,"path":5}"#, #"{"id":1,"error":5}"#, #"{"error":"x"}"#,
    #"{"id":1,"id":2,"ok":true}"#,
])
func refused(_ line: String) { #expect(throws: HandoverSyntaxError.self) { try HandoverMessage(parsing: Array(line.utf8)) } }

@Test("more data than agreed is refused")
func tooMuchData() {
    let line = #"{"open":{"id":1,"data":"\#(base64([UInt8](repeating: 0, count: HandoverRequest.mostData + 1)))"}}"#
    #expect(throws: HandoverSyntaxError.self) { try HandoverMessage(parsing: Array(line.utf8)) }
}
