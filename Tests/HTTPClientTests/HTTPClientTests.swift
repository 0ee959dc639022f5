import EventLoop
import Glibc
import HTTPClient
import HTTPServer
import Platform
import Testing

private let loopback = SocketAddress("127.0.0.1:0")!

/// Sends one request and runs the loop until it is answered.
private func fetch(_ request: HTTPRequest, on loop: EventLoop, with client: HTTPClient) -> Result<HTTPResponse, HTTPFailure>? {
    var result: Result<HTTPResponse, HTTPFailure>?
    client.send(request) {
        result = $0
        loop.stop()
    }
    loop.run()
    return result
}

private func request(_ url: String, timeout: Duration = .seconds(20), largestBody: Int = 1000) -> HTTPRequest {
    HTTPRequest("GET", url, timeout: timeout, largestBody: largestBody)
}

/// A server that says the same to everybody, byte for byte.
private final class Parrot {
    let address: SocketAddress
    private let listener: FileDescriptor
    private var watcher: Watcher?
    private var connections: [Int32] = []

    init(on loop: EventLoop, saying text: String) throws {
        listener = try Sockets.tcpListener(bind: loopback)
        address = try Sockets.localAddress(listener.number)
        watcher = try Watcher(on: loop, listener.number) { [unowned self] _ in
            guard let connection = try? Sockets.accept(listener.number) else { return }
            try? writeAll(connection.number, Array(text.utf8))
            connections.append(connection.release())
        }
        watcher?.wait(for: .readable)
    }

    deinit {
        watcher?.cancel()
        for connection in connections { close(connection) }
    }
}

@Test("method, path, headers and body arrive, and so do status, headers and body of the answer")
func roundTrip() throws {
    let loop = EventLoop()
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 100)) { exchange in
        exchange.answer(HTTPAnswer(status: 201, headers: [("X-Was", "\(exchange.method) \(exchange.path) \(exchange.header("x-a") ?? "-")")],
                                   body: exchange.body.reversed()))
    }
    let sent = HTTPRequest("PUT", "http://\(server.address)/a/b", headers: [("X-A", "1")], body: [1, 2, 0], timeout: .seconds(20), largestBody: 10)
    let response = try #require(fetch(sent, on: loop, with: HTTPClient(on: loop))).get()
    #expect(response.status == 201)
    #expect(response.header("x-was") == "PUT /a/b 1")
    #expect(response.body == [0, 2, 1])
}

@Test("a body over the limit is an error, one at the limit is not")
func largeBody() throws {
    let loop = EventLoop()
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 0)) { exchange in
        exchange.answer(HTTPAnswer(status: 200, body: [UInt8](repeating: 7, count: exchange.path == "/more" ? 1001 : 1000)))
    }
    let client = HTTPClient(on: loop)
    #expect(try fetch(request("http://\(server.address)/"), on: loop, with: client)?.get().body.count == 1000)
    #expect(throws: HTTPFailure.tooLarge) { try fetch(request("http://\(server.address)/more"), on: loop, with: client)?.get() }
}

@Test("endless headers are an error")
func endlessHeaders() throws {
    let loop = EventLoop()
    let parrot = try Parrot(on: loop, saying: "HTTP/1.1 200 OK\r\n" + (0..<2000).map { "X-\($0): some value or other\r\n" }.joined())
    #expect(throws: HTTPFailure.tooLarge) { try fetch(request("http://\(parrot.address)/"), on: loop, with: HTTPClient(on: loop))?.get() }
}

@Test("a server that never answers is given up in time")
func silence() throws {
    let loop = EventLoop()
    let parrot = try Parrot(on: loop, saying: "")
    #expect(throws: HTTPFailure.timedOut) {
        try fetch(request("http://\(parrot.address)/", timeout: .milliseconds(100)), on: loop, with: HTTPClient(on: loop))?.get()
    }
}

@Test("garbage instead of HTTP, a refused connection and an unknown host are failures with words")
func failures() throws {
    let loop = EventLoop()
    let client = HTTPClient(on: loop)
    let parrot = try Parrot(on: loop, saying: "garbage\r\n\r\n")
    // The discard port: nobody listens there.
    for url in ["http://\(parrot.address)/", "http://127.0.0.1:9/", "http://name.invalid/"] {
        guard case .failure(.failed(let reason)) = fetch(request(url), on: loop, with: client) else {
            Issue.record("\(url) did not fail")
            continue
        }
        #expect(!reason.isEmpty)
    }
}

@Test("only http and https are spoken, also after a redirect", arguments: ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
func schemes(url: String) throws {
    let loop = EventLoop()
    let client = HTTPClient(on: loop)
    guard case .failure(.badURL) = fetch(request(url), on: loop, with: client) else {
        Issue.record("\(url) was not refused")
        return
    }
    let parrot = try Parrot(on: loop, saying: "HTTP/1.1 302 Found\r\nLocation: \(url)\r\nContent-Length: 0\r\n\r\n")
    guard case .failure(.failed) = fetch(request("http://\(parrot.address)/"), on: loop, with: client) else {
        Issue.record("the redirect to \(url) was followed")
        return
    }
}

@Test("a redirect is followed, a circle is not")
func redirects() throws {
    let loop = EventLoop()
    let server = try HTTPServer(on: loop, bind: loopback, limits: .init(body: 100)) { exchange in
        switch exchange.path {
        case "/moved": exchange.answer(HTTPAnswer(status: 308, headers: [("Location", "/here")], body: [9]))
        case "/circle": exchange.answer(HTTPAnswer(status: 302, headers: [("Location", "/circle")]))
        default: exchange.answer(HTTPAnswer(status: 200, body: exchange.body))
        }
    }
    let client = HTTPClient(on: loop)
    let moved = HTTPRequest("PUT", "http://\(server.address)/moved", body: [1], timeout: .seconds(20), largestBody: 10)
    let answer = try fetch(moved, on: loop, with: client)?.get()
    #expect(answer?.body == [1])
    #expect(answer?.redirectedTo == "http://\(server.address)/here")
    #expect(try fetch(request("http://\(server.address)/here"), on: loop, with: client)?.get().redirectedTo == nil)
    guard case .failure(.failed) = fetch(request("http://\(server.address)/circle"), on: loop, with: client) else {
        Issue.record("followed for ever")
        return
    }
    var stay = request("http://\(server.address)/circle")
    stay.followsRedirects = false
    let told = try fetch(stay, on: loop, with: client)?.get()
    #expect(told?.status == 302 && told?.header("location") == "/circle")
}

@Test("a cancelled transfer never completes and the loop runs dry")
func cancelling() throws {
    let loop = EventLoop()
    let client = HTTPClient(on: loop)
    let listener = try Sockets.tcpListener(bind: loopback)
    let address = try Sockets.localAddress(listener.number)
    let transfer = client.send(request("http://\(address)/")) { _ in Issue.record("completed") }
    let timer = Timer(on: loop) { transfer.cancel() }
    timer.start(after: .milliseconds(20))
    loop.run()
    client.send(request("http://\(address)/\n")) { _ in Issue.record("completed") }.cancel()
    loop.run()
}

@Test("a header value can't smuggle in another header")
func injection() throws {
    let loop = EventLoop()
    let bad = HTTPRequest("GET", "http://127.0.0.1:1/", headers: [("A", "b\r\nC: d")], timeout: .seconds(1), largestBody: 1)
    guard case .failure(.failed(let reason)) = fetch(bad, on: loop, with: HTTPClient(on: loop)) else {
        Issue.record("sent")
        return
    }
    #expect(reason.contains("line break"))
}
