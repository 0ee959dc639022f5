import EventLoop
import Glibc
import HTTPClient
import HTTPServer
import Platform
import Testing

private let loopback = SocketAddress("127.0.0.1:0")!

private func put(_ count: Int, to address: SocketAddress) -> HTTPRequest {
    HTTPRequest("PUT", "http://\(address)/", body: [UInt8](repeating: 1, count: count), timeout: .seconds(20), largestBody: 10)
}

@Test("answers may come later and in any order, and other clients are served meanwhile")
func lateAnswers() throws {
    let loop = EventLoop()
    var waiting: [HTTPExchange] = []
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) { exchange in
        waiting.append(exchange)
        guard waiting.count == 3 else { return }
        for exchange in waiting.reversed() { exchange.answer(HTTPAnswer(status: 200, body: Array(exchange.path.utf8))) }
    }
    let client = HTTPClient(on: loop)
    var bodies: [String] = []
    for path in ["/1", "/2", "/3"] {
        client.send(HTTPRequest("GET", "http://\(server.address)\(path)", timeout: .seconds(20), largestBody: 10)) { result in
            bodies.append(String(decoding: (try? result.get().body) ?? [], as: UTF8.self))
            if bodies.count == 3 { loop.stop() }
        }
    }
    loop.run()
    #expect(bodies.sorted() == ["/1", "/2", "/3"])
}

@Test("a body at the limit is taken, a longer one is answered with 413", arguments: [(10, 200), (11, 413), (20_000, 413)])
func limits(count: Int, status: Int) throws {
    let loop = EventLoop()
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) { $0.answer(HTTPAnswer(status: $0.isTooLong ? 413 : 200)) }
    var received: Int?
    let client = HTTPClient(on: loop)
    client.send(put(count, to: server.address)) {
        received = try? $0.get().status
        loop.stop()
    }
    loop.run()
    #expect(received == status)
}

@Test("an answer to a client that has gone is dropped")
func goneClient() throws {
    let loop = EventLoop()
    var kept: HTTPExchange?
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) {
        kept = $0
        loop.stop()
    }
    let client = HTTPClient(on: loop)
    let transfer = client.send(put(1, to: server.address)) { _ in Issue.record("completed") }
    loop.run()
    transfer.cancel()
    kept?.answer(HTTPAnswer(status: 200))
    kept?.answer(HTTPAnswer(status: 500))
    for _ in 0..<5 { loop.runOnce(waiting: false) }
    var second: Int?
    client.send(HTTPRequest("GET", "http://\(server.address)/", timeout: .seconds(20), largestBody: 0)) { second = try? $0.get().status; loop.stop() }
    loop.run()
    kept?.answer(HTTPAnswer(status: 204))
    loop.run()
    #expect(second == 204)
}

@Test("closing answers what is waiting with 503 and frees the port")
func closing() throws {
    let loop = EventLoop()
    var server: HTTPServer?
    server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) { _ in server?.closeSoon(on: loop) }
    let address = server!.address
    var status: Int?
    let client = HTTPClient(on: loop)
    client.send(put(1, to: address)) {
        status = try? $0.get().status
        loop.stop()
    }
    loop.run()
    #expect(status == 503)
    server = nil
    _ = try Sockets.tcpListener(bind: address)
}

/// A client that is told what to send, and what has come to it so far.
private struct BareClient: ~Copyable {
    let socket: FileDescriptor

    init(to server: HTTPServer) throws(SystemError) { socket = try Sockets.tcpConnect(to: server.address) }

    func ask(_ path: String) {
        let request = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        _ = send(socket.number, request, request.count, Int32(MSG_NOSIGNAL))
    }

    /// Empty while nothing has come, and at the end.
    var received: String { String(decoding: (try? Sockets.peek(socket.number, capacity: 1000)) ?? [], as: UTF8.self) }
}

@Test("a server that drains answers what it has, closes what is idle, and ends with the last connection")
func draining() throws {
    let loop = EventLoop()
    var waiting: HTTPExchange?
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) {
        if $0.path == "/later" { waiting = $0 } else { $0.answer(HTTPAnswer(status: 200)) }
    }
    let kept = try BareClient(to: server), asking = try BareClient(to: server), fresh = try BareClient(to: server)
    kept.ask("/now")
    asking.ask("/later")
    while kept.received.isEmpty || waiting == nil || server.connections < 3 { loop.runOnce() }
    var isDrained = false
    server.drain(patience: .seconds(60)) {
        isDrained = true
        loop.stop()
    }
    while server.connections > 2 { loop.runOnce() }
    fresh.ask("/now")
    while fresh.received.isEmpty { loop.runOnce() }
    #expect(!isDrained)
    waiting?.answer(HTTPAnswer(status: 204))
    loop.run()
    #expect(isDrained && server.connections == 0)
    #expect(kept.received.hasPrefix("HTTP/1.1 200 "))
    #expect(asking.received.hasPrefix("HTTP/1.1 204 ") && asking.received.contains("Connection: close\r\n"))
    #expect(fresh.received.hasPrefix("HTTP/1.1 200 ") && fresh.received.contains("Connection: close\r\n"))
    // Nobody listens there any more.
    _ = try Sockets.tcpListener(bind: server.address)
}

@Test("a connection on which nothing comes does not keep a server from ending when its patience is over")
func drainingWithoutEnd() throws {
    let loop = EventLoop()
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) { _ in }
    let silent = try BareClient(to: server)
    while server.connections == 0 { loop.runOnce() }
    server.drain(patience: .milliseconds(10)) { loop.stop() }
    loop.run()
    #expect(server.connections == 1)
    server.close()
    #expect(silent.received.isEmpty)
}

extension HTTPServer {
    /// From its own handler a server must not be closed.
    fileprivate func closeSoon(on loop: EventLoop) {
        var timer: Timer?
        timer = Timer(on: loop) { [self] in
            timer = nil
            close()
        }
        timer?.start(after: .zero)
    }
}

@Test("an address in use is an error that names the call")
func addressInUse() throws {
    let loop = EventLoop()
    let first = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) { _ in }
    #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
        _ = try HTTPServer(on: loop, bind: first.address, limits: .init(body: 10)) { _ in }
    }
}

@Test("a connection whose request never comes to its end is closed, whatever is sent on it, and another one is not")
func endlessRequest() throws {
    let loop = EventLoop()
    var limits = HTTPServer.Limits(body: 10)
    limits.request = .milliseconds(50)
    let server = try HTTPServer(on: loop, bind: loopback, limits: limits) { $0.answer(HTTPAnswer(status: 200)) }
    let slow = try Sockets.tcpConnect(to: server.address)
    var isClosed = false
    let dripping = Timer(on: loop) { loop.stop() }
    while !isClosed {
        // A byte of a header's name after another, so that it is never silent.
        dripping.start(after: .milliseconds(5))
        loop.run()
        _ = send(slow.number, "GET / HTTP/1.1\r\nX-", 1, Int32(MSG_NOSIGNAL))
        var byte: UInt8 = 0
        let count = recv(slow.number, &byte, 1, Int32(MSG_DONTWAIT))
        isClosed = count == 0 || (count < 0 && errno == ECONNRESET)
    }
    #expect(server.accepted == 1)
    var status: Int?
    let client = HTTPClient(on: loop)
    client.send(put(1, to: server.address)) {
        status = try? $0.get().status
        loop.stop()
    }
    loop.run()
    #expect(status == 200)
}

@Test("a server that ends with requests not answered ends in order")
func endWithPendingRequest() throws {
    let loop = EventLoop()
    var server: HTTPServer? = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 10)) { _ in loop.stop() }
    let client = HTTPClient(on: loop)
    var status: Int?
    client.send(put(1, to: server!.address)) {
        status = try? $0.get().status
        loop.stop()
    }
    loop.run()
    server = nil
    loop.run()
    #expect(status == 503)
}
