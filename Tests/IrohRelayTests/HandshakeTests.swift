import Crypto
import Iroh
import Platform
import Testing

@testable import IrohRelay

@Test("a client that answers the challenge is confirmed, in the highest version that both speak", arguments: [
    ("iroh-relay-v2, iroh-relay-v1", "iroh-relay-v2"), ("iroh-relay-v1", "iroh-relay-v1"), ("iroh-relay-v3,iroh-relay-v1", "iroh-relay-v1"),
])
func challenge(_ offered: String, _ chosen: String) {
    let hub = RelayHub()
    let client = TestClient(hub).connect(["Sec-WebSocket-Protocol": offered])
    #expect(client.head.hasPrefix("HTTP/1.1 101 "))
    #expect(client.head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
    #expect(client.head.contains("Sec-WebSocket-Protocol: \(chosen)\r\n"))
    #expect(client.news() == [.serverConfirmsAuth])
    #expect(hub.clients == 1)
}

@Test("a proof in the header spares the challenge, unless something between the two ends TLS", arguments: [true, false])
func header(_ isDirect: Bool) {
    let client = TestClient(RelayHub())
    let material = [UInt8](0..<32)
    client.material = isDirect ? material : material.reversed()
    client.write(TestClient.request([RelayAuthentication.header: RelayHeaderAuthentication(material: material, key: client.key).header]))
    let first = client.news().first
    if isDirect { #expect(first == .serverConfirmsAuth) } else { #expect({ if case .serverChallenge? = first { true } else { false } }()) }
}

@Test("an answer that was good for one challenge is none for the next")
func replay() {
    let hub = RelayHub()
    let honest = TestClient(hub)
    honest.write(TestClient.request())
    guard case .serverChallenge(let challenge)? = honest.news().first else { fatalError() }
    let answer = RelayFrame.clientAuth(RelayAuthentication(answering: challenge, with: honest.key))
    honest.send(answer)
    #expect(honest.news() == [.serverConfirmsAuth])
    let thief = TestClient(hub, seed: 9)
    thief.write(TestClient.request())
    _ = thief.news()
    thief.send(answer)
    #expect(thief.news() == [.serverDeniesAuth(reason: "signature invalid")])
    #expect(thief.closeStatus == 1008)
    #expect(hub.clients == 1)
}

@Test("another frame than a proof ends the connection before it has begun", arguments: [
    [9, 1, 2, 3, 4, 5, 6, 7, 8], [1, 2], [4] + [UInt8](repeating: 1, count: 40), [], [99],
] as [[UInt8]])
func otherThanProof(_ frame: [UInt8]) {
    let hub = RelayHub()
    let client = TestClient(hub)
    client.write(TestClient.request())
    client.write(TestClient.masked(0x82, frame))
    client.take()
    #expect(client.closeStatus == 1002)
    #expect(hub.counters.protocolErrors == 1)
}

@Test("a request that makes no WebSocket is answered with what is wrong", arguments: [
    ("Upgrade", "", "for WebSocket clients only"), ("Connection", "close", "for WebSocket clients only"),
    ("Sec-WebSocket-Version", "8", "only WebSocket version 13"), ("Sec-WebSocket-Key", "abc", "no valid Sec-WebSocket-Key"),
    ("Sec-WebSocket-Protocol", "chat", "neither iroh-relay-v2 nor"), ("x-iroh-relay-client-auth-v1", "%", "malformed"),
])
func badRequests(_ name: String, _ value: String, _ reason: String) {
    let client = TestClient(RelayHub())
    client.write(TestClient.request([name: value]))
    #expect(client.head.hasPrefix("HTTP/1.1 400 "))
    #expect(client.body.contains(reason))
    if name == "Sec-WebSocket-Version" { #expect(client.head.contains("Sec-WebSocket-Version: 13\r\n")) }
    #expect(client.session!.isEnding)
}

private let listed = SecretKey(seed: [UInt8](repeating: 1, count: 32))!.publicKey

@Test("the access list lets in whom it names, and whoever shows a token", arguments: [
    ("", nil, "/relay", nil), ("deny KEY", nil, "/relay", "this key is denied"), ("KEY", nil, "/relay", nil),
    ("pk:OTHER", nil, "/relay", "not on the relay's list"), ("token word", nil, "/relay", "asks for a token"),
    ("token word", "Bearer word", "/relay", nil), ("token word", "bearer wore", "/relay", "the token is not valid"),
    ("token word", nil, "/relay?a=b&token=w%6Frd", nil), ("token word", "Basic eDp5", "/relay?token=word", nil),
    ("token word\nKEY", nil, "/relay", nil), ("token word\ndeny KEY", "Bearer word", "/relay", "this key is denied"),
] as [(String, String?, String, String?)])
func access(_ list: String, _ authorization: String?, _ target: String, _ refusal: String?) throws {
    let other = SecretKey(seed: [UInt8](repeating: 2, count: 32))!.publicKey.zBase32
    let text = list.replacing("KEY", with: listed.zBase32).replacing("OTHER", with: other)
    let hub = RelayHub(access: try RelayAccess(parsing: Array(text.utf8)))
    let client = TestClient(hub).connect(authorization.map { ["Authorization": $0] } ?? [:], target: target)
    guard let refusal else { return #expect(client.news() == [.serverConfirmsAuth]) }
    guard case .serverDeniesAuth(let reason)? = client.news().first else { fatalError("let in") }
    #expect(reason.contains(refusal))
    #expect(client.closeStatus == 1008)
    #expect(hub.counters.denied == 1)
}

@Test("a line of an access list that can't be read is named", arguments: [
    ("# none\nnokey", 2), ("deny", 1), ("token a b", 1), ("\n\ntoken \u{e9}", 3), ("deny xyz", 1),
])
func accessSyntax(_ text: String, _ line: Int) {
    do throws(RelayAccess.SyntaxError) {
        _ = try RelayAccess(parsing: Array(text.utf8))
        Issue.record("taken")
    } catch { #expect(error.line == line) }
}

@Test("a client that an access list no longer has is sent away, whatever it came in by")
func changedAccess() throws {
    let hub = RelayHub(access: try RelayAccess(parsing: Array("token one\ntoken two".utf8)))
    let first = TestClient(hub, seed: 1).connect(["Authorization": "Bearer one"])
    let second = TestClient(hub, seed: 2).connect(["Authorization": "Bearer two"])
    hub.access = try RelayAccess(parsing: Array("token two".utf8))
    hub.enforceAccess(now: TestClient.start)
    first.take()
    second.take()
    #expect((first.closeStatus, second.closeStatus) == (1008, nil))
}
