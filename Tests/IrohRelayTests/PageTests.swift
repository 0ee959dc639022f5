import Platform
import Testing

@testable import IrohRelay

private func ask(_ request: String, from address: String = "192.0.2.1") -> TestClient {
    let client = TestClient(RelayHub(), from: address)
    client.write(Array(request.utf8))
    return client
}

@Test("a relay answers what iroh asks of one")
func pages() {
    let ping = ask("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(ping.head.hasPrefix("HTTP/1.1 200 OK\r\n") && ping.head.contains("Access-Control-Allow-Origin: *\r\n") && ping.body.isEmpty)
    let portal = ask("GET /generate_204 HTTP/1.1\r\nHost: x\r\nx-iroh-challenge: ts_relay.test\r\n\r\n")
    #expect(portal.head.hasPrefix("HTTP/1.1 204 ") && portal.head.contains("X-Iroh-Response: response ts_relay.test\r\n"))
    let odd = ask("GET /generate_204 HTTP/1.1\r\nHost: x\r\nx-iroh-challenge: a b\r\n\r\n")
    #expect(odd.head.hasPrefix("HTTP/1.1 204 ") && !odd.head.contains("X-Iroh-Response"))
    #expect(ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").body.hasPrefix(#"{"status":"ok","version":"#))
    #expect(ask("HEAD / HTTP/1.0\r\n\r\n").body.isEmpty)
    #expect(ask("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n").body.contains("iroh relay"))
    #expect(ask("POST /ping HTTP/1.1\r\nHost: x\r\n\r\n").head.hasPrefix("HTTP/1.1 405 "))
    #expect(ask("GET /secret HTTP/1.1\r\nHost: x\r\n\r\n").head.hasPrefix("HTTP/1.1 404 "))
}

@Test("metrics are for the operator, not for whoever comes through the operator's proxy")
func metrics() {
    #expect(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", from: "127.0.0.1").body.contains("\nquic_relay_clients 0\n"))
    #expect(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").head.hasPrefix("HTTP/1.1 403 "))
    let through = "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"
    #expect(ask(through, from: "127.0.0.1").head.hasPrefix("HTTP/1.1 403 "))
}

@Test("a request that is none is refused", arguments: [
    ("GET\r\n\r\n", 400), ("GET / HTTP/2.0\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
    ("GET relay HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: x\u{0}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: " + String(repeating: "x", count: 9000), 431),
])
func malformed(_ request: String, _ status: Int) { #expect(ask(request).head.hasPrefix("HTTP/1.1 \(status) ")) }

@Test("a head that comes in pieces is waited for")
func slowly() {
    let client = TestClient(RelayHub())
    for byte in "GET /ping HTTP/1.1\r\nHost: x\r\n\r".utf8 { client.write([byte]) }
    #expect(client.head.isEmpty)
    client.write([UInt8(ascii: "\n")])
    #expect(client.head.hasPrefix("HTTP/1.1 200 "))
}
