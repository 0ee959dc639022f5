import EventLoop
import Ladder
import Platform
import Testing

@testable import HTTPProxy

private func get(_ path: String = "/", _ fields: String = "") -> String { "GET http://\(key)\(path) HTTP/1.1\r\nHost: \(key)\r\n\(fields)\r\n" }
private let nothing = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

@Test("an answer comes back with the way it took")
func exchange() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    let client = try scene.client(get("/a"))
    let server = scene.server()
    server.wait(for: "\r\n\r\n")
    let asked = "GET /a HTTP/1.1\r\nHost: \(key)\r\n\r\n"
    #expect(server.received == asked)
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Pubky-Path: direct\r\nConnection: keep-alive\r\n\r\nhi")
    client.wait(for: "hi")
    #expect(client.received == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 keyhole\r\nX-Pubky-Path: relay\r\n\r\nhi")
    #expect(scene.proxy.idleUpstreamCount == 1)
}

@Test("where a domain leads to the homeserver it is the host, and the key stands beside it")
func domains() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    scene.upstream.authority = "home.example:8443"
    _ = try scene.client(get("/", "pubky-host: other\r\n"))
    let server = scene.server()
    server.wait(for: "\r\n\r\n")
    let asked = "GET / HTTP/1.1\r\nHost: home.example:8443\r\npubky-host: \(key)\r\n\r\n"
    #expect(server.received == asked)
}

@Test("a body that comes in any pieces is passed on, and the next request behind it answered")
func pieces() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    let client = try scene.client()
    let request = "POST http://\(key)/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n\(get("/next"))"
    for byte in request.utf8 {
        client.send(String(UnicodeScalar(byte)))
        scene.loop.runOnce()
    }
    let server = scene.server()
    server.wait(for: "A: b\r\n\r\n")
    #expect(server.received.hasSuffix("\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"))
    for byte in nothing.utf8 {
        server.send(String(UnicodeScalar(byte)))
        scene.loop.runOnce()
    }
    server.wait(for: "GET /next HTTP/1.1")
    #expect(scene.upstream.asked.count == 1)
}

@Test("a head that does not come to its end in time is told so, a connection that asks for nothing ends")
func slowHeads() throws {
    let scene = try Scene { _, times in (times.head, times.idle) = (.milliseconds(50), .milliseconds(50)) }
    defer { scene.proxy.close() }
    let slow = try scene.client("GET http://"), silent = try scene.client(), idle = try scene.client(get())
    let server = scene.server()
    server.send(nothing)
    slow.waitForEnd()
    #expect(slow.received.hasPrefix("HTTP/1.1 408 "))
    silent.waitForEnd()
    #expect(silent.received.isEmpty)
    idle.waitForEnd()
    #expect(idle.received.hasPrefix("HTTP/1.1 200 "))
    scene.loop.run(until: { scene.proxy.connectionCount == 0 })
}

@Test("a server that is silent is answered for; one that falls silent breaks the answer off")
func silence() throws {
    let scene = try Scene { _, times in (times.answer, times.body) = (.milliseconds(50), .milliseconds(50)) }
    defer { scene.proxy.close() }
    let first = try scene.client(get())
    first.wait(for: "HTTP/1.1 504 ")
    scene.server().waitForEnd()
    let second = try scene.client(get())
    scene.server(1).send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    second.waitForEnd()
    #expect(second.received.hasSuffix("half"))
    #expect(second.ending == .reset)
}

@Test("an answer that only the end of its connection ends is whole when the server still listens, and broken when it has gone")
func endsWithConnection() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    let whole = try scene.client(get())
    let server = scene.server()
    server.send("HTTP/1.1 200 OK\r\n\r\nall")
    server.finish()
    whole.waitForEnd()
    #expect(whole.received.hasSuffix("all") && whole.ending == .finished)
    let broken = try scene.client(get())
    scene.server(1).send("HTTP/1.1 200 OK\r\n\r\nhalf")
    broken.wait(for: "half")
    scene.upstream.dropLast()
    broken.waitForEnd()
    #expect(broken.ending == .reset)
}

@Test("a tunnel passes on each direction's end by itself")
func tunnels() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    let client = try scene.client("CONNECT \(key):443 HTTP/1.1\r\nHost: \(key):443\r\n\r\nhello")
    let server = scene.server()
    server.wait(for: "hello")
    client.wait(for: "X-Pubky-Path: relay\r\n\r\n")
    client.finish()
    server.waitForEnd()
    server.send("still here")
    client.wait(for: "still here")
    server.finish()
    client.waitForEnd()
    #expect(client.ending == .finished)
    scene.loop.run(until: { scene.proxy.connectionCount == 0 })
}

@Test("when there are too many connections the one goes that has been waiting longest")
func tooMany() throws {
    let scene = try Scene { settings, _ in settings.mostConnections = 2 }
    defer { scene.proxy.close() }
    let busy = try scene.client(get())
    let server = scene.server()
    let waiting = try scene.client("GET")
    scene.loop.run(until: { scene.proxy.connectionCount == 2 })
    let third = try scene.client("GET http://localhost/ HTTP/1.1\r\nHost: x\r\n\r\n")
    waiting.waitForEnd()
    third.wait(for: "HTTP/1.1 403 ")
    server.send(nothing)
    busy.wait(for: "HTTP/1.1 200 ")
}

private struct Failure: Sendable {
    let status: LadderError.Status
    let code: String
    let error: String
}

private let failureCases: [Failure] = [
    Failure(status: .keyNotFound, code: "502", error: "dns_error"),
    Failure(status: .unreachable, code: "502", error: "destination_unavailable"),
    Failure(status: .wrongPeer, code: "502", error: "tls_certificate_error"),
    Failure(status: .permission, code: "502", error: "connection_refused"),
    Failure(status: .tryAgain, code: "503", error: "destination_unavailable"),
]

@Test("why there is no connection is told, and nothing is kept of it", arguments: failureCases)
private func failures(_ failure: Failure) throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    let attempt = UpstreamAttempt(path: .direct, remote: "192.0.2.1:1", reason: "no answer", after: .zero)
    scene.upstream.error = LadderError(failure.status, "for a reason", attempts: [attempt])
    let client = try scene.client(get())
    client.wait(for: "direct 192.0.2.1:1: no answer\n")
    let line = "HTTP/1.1 \(failure.code) ", field = "Proxy-Status: keyhole; error=\(failure.error)\r\n", text = "\(key): for a reason\n"
    #expect(client.received.hasPrefix(line))
    #expect(client.received.contains(field))
    #expect(client.received.contains(text))
    // The connection goes on.
    scene.upstream.error = nil
    client.send(get())
    scene.server().send(nothing)
    client.wait(for: "HTTP/1.1 200 ")
}

@Test("a client that goes while its connection is being made takes that with it")
func cancelled() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    let client = try scene.client(get())
    scene.loop.run(until: { scene.upstream.asked.count == 1 })
    client.reset()
    scene.loop.run(until: { scene.proxy.connectionCount == 0 })
}

@Test("a client that went right behind its request is seen to have gone")
func goneAtOnce() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    // Never answered, so that nothing is written to it either.
    let client = try scene.client(get())
    client.reset()
    scene.loop.run(until: { scene.upstream.asked.count == 1 })
    scene.loop.run(until: { scene.proxy.connectionCount == 0 })
}

@Test("clients that have ended can't have all the connections that are being made")
func endedClients() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    scene.upstream.isSlow = true
    var clients: [End] = []
    for _ in 0..<100 {
        clients.append(try scene.client(get()))
        clients.last!.finish()
    }
    scene.loop.run(until: { scene.proxy.connectionCount == 64 && scene.upstream.asked.count == 100 })
    #expect(scene.upstream.wanted == 64)
}

@Test("idle connections to a server are bounded in number and time")
func pool() throws {
    let scene = try Scene()
    defer { scene.proxy.close() }
    var clients: [End] = []
    for _ in 0..<(UpstreamPool.mostOfOne + 4) { clients.append(try scene.client(get())) }
    for index in clients.indices {
        scene.server(index).send(nothing)
        clients[index].wait(for: "HTTP/1.1 200 ")
    }
    #expect(scene.proxy.idleUpstreamCount == UpstreamPool.mostOfOne)
    let pool = UpstreamPool(), blocks = BlockPool()
    let (near, far) = try Sockets.pair()
    let other = FileDescriptor(owning: far)
    let link = UpstreamLink(try Wire(FileDescriptor(owning: near), blocks: blocks, on: scene.loop), to: HostAndPort(host: "x", port: 80))
    let start = Instant.now
    pool.give(link, now: start)
    #expect(pool.take(to: link.destination, isRepeatable: false, now: start + UpstreamPool.certainTime) == nil)
    #expect(pool.take(to: link.destination, isRepeatable: true, now: start + UpstreamPool.certainTime) === link)
    pool.give(link, now: start)
    pool.expire(now: start + UpstreamPool.idleTime)
    #expect(pool.count == 0)
    _ = other.number
}
