import HTTP1
import Testing
import TestSupport

@testable import HTTPGate

private let key = "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo"
private let ownFields = "Pubky-Client-Key: \(key)\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"

/// A gate with what has come out of it on the server's side.
private struct Pipe {
    var gate = HTTPGate(client: ClientFields(key: key, address: "192.0.2.1"))
    var server: [UInt8] = []

    /// - Returns: What was not taken.
    @discardableResult
    mutating func send(_ text: String, piece: Int = .max) throws(GateError) -> String {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: min(piece, rest.count), alignment: 1)
            defer { bytes.deallocate() }
            bytes.copyBytes(from: rest.prefix(piece))
            let (count, output) = try gate.request(UnsafeRawBufferPointer(bytes))
            switch output {
            case .nothing: break
            case .bytes(let head): server += head
            case .same: server += rest.prefix(count)
            }
            if count == 0 { break }
            rest = rest.dropFirst(count)
        }
        return String(decoding: rest, as: UTF8.self)
    }

    mutating func respond(_ text: String, piece: Int = .max) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            try rest.prefix(piece).withUnsafeBytes { try gate.response($0) }
            rest = rest.dropFirst(piece)
        }
    }

    var text: String { String(decoding: server, as: UTF8.self) }
}

@Test("each request of a connection is rewritten, however the stream is cut", arguments: [1, 2, 3, 11, 10_000])
func rewriting(_ piece: Int) throws {
    var pipe = Pipe()
    try pipe.send("GET /a HTTP/1.1\r\nHost: k\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n", piece: piece)
    try pipe.send("PUT /b HTTP/1.1\r\nHost: k\r\nContent-Length: 4\r\nX-Forwarded-For: 1.1.1.1\r\n\r\nGET GET /c HTTP/1.1\r\nhost: k\r\n\r\n", piece: piece)
    let chunked = "4\r\nGET \r\n0\r\n"
    try pipe.send("POST /d HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n\(chunked)X-Forwarded-For: 1.1.1.1\r\n\r\n", piece: piece)
    try pipe.send("GET /e HTTP/1.1\r\nHost: k\r\n\r\n", piece: piece)
    #expect(pipe.text == """
        GET /a HTTP/1.1\r\nHost: k\r\n\(ownFields)\r
        PUT /b HTTP/1.1\r\nHost: k\r\nContent-Length: 4\r\n\(ownFields)\r\nGET \
        GET /c HTTP/1.1\r\nhost: k\r\n\(ownFields)\r
        POST /d HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\(ownFields)\r\n\(chunked)\r
        GET /e HTTP/1.1\r\nHost: k\r\n\(ownFields)\r\n
        """)
    #expect(pipe.gate.outstanding == 5)
}

@Test("what a client says of itself is left out, in each spelling", arguments: [
    "X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded_for", "X.Forwarded.For", "X|Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-Forwarded-Anything", "Forwarded", "FORWARDED", "X-Real-IP", "X_Real_IP", "Via", "Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Original-URL",
    "X-Rewrite-URL", "Proxy", "Pubky-Client-Key", "pubky_client_key", "PUBKY-CLIENT_KEY", "Remote-User", "X-Remote-User", "X-SSL-Client-Cert", "Trailer",
    "Keep-Alive", "Proxy-Connection", "TE", "HTTP2-Settings",
])
func forged(_ name: String) throws {
    var pipe = Pipe()
    try pipe.send("GET / HTTP/1.1\r\n\(name): 6.6.6.6\r\nHost: k\r\n\(name): 7.7.7.7\r\nAccept: a\r\n\r\n")
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\nAccept: a\r\n\(ownFields)\r\n")
}

@Test("what a server needs is passed", arguments: [
    "pubky-host", "Cookie", "Authorization", "X-Requested-With", "Expect", "Origin", "Range", "X-Real", "Forward", "X-Pubky-Client", "Sec-WebSocket-Key",
])
func passed(_ name: String) throws {
    var pipe = Pipe()
    try pipe.send("GET / HTTP/1.1\r\nHost: k\r\n\(name): a\r\n\r\n")
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\n\(name): a\r\n\(ownFields)\r\n")
}

@Test("Connection can't have the next proxy remove what we say")
func connectionOptions() throws {
    var pipe = Pipe()
    try pipe.send("GET / HTTP/1.1\r\nHost: k\r\nConnection: keep-alive, Pubky-Client-Key, X-Forwarded-For, X-Mine, host\r\nX-Mine: a\r\n\r\n")
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\n\(ownFields)\r\n")
}

@Test("of a client without a key or an address nothing is said that is not known")
func unknownClient() throws {
    var pipe = Pipe()
    pipe.gate = HTTPGate(client: ClientFields(key: nil, address: nil))
    try pipe.send("GET / HTTP/1.1\r\nHost: k\r\nPubky-Client-Key: \(key)\r\n\r\n")
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\nX-Forwarded-Proto: http\r\n\r\n")
}

@Test("a request that could be read in two ways is refused, and nothing of it passed on", arguments: [
    "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4", "Content-Length: 4\r\nContent-Length: 5",
    "Transfer-Encoding : chunked", "Transfer-Encoding: chunked\r\n , identity", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
])
func smuggled(_ fields: String) throws {
    var pipe = Pipe()
    let error = try thrownError(GateError.self) { try pipe.send("POST / HTTP/1.1\r\nHost: k\r\n\(fields)\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: k\r\n\r\n") }
    #expect(error.status == 400)
    #expect(pipe.server == [])
}

@Test("bodies where servers expect none end the connection, so that they can't be taken for a request", arguments: ["GET", "HEAD", "DELETE", "OPTIONS"])
func unexpectedBody(_ method: String) throws {
    var pipe = Pipe()
    let inner = "GET /admin HTTP/1.1\r\nHost: k\r\n\r\n"
    try pipe.send("\(method) / HTTP/1.1\r\nHost: k\r\nContent-Length: \(inner.utf8.count)\r\n\r\n\(inner)GET /more HTTP/1.1\r\nHost: k\r\n\r\n")
    #expect(pipe.text == "\(method) / HTTP/1.1\r\nHost: k\r\nContent-Length: \(inner.utf8.count)\r\n\(ownFields)Connection: close\r\n\r\n\(inner)")
    try pipe.respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    #expect(pipe.gate.isOver)
}

@Test("the last request is the last")
func last() throws {
    var pipe = Pipe()
    try pipe.send("GET / HTTP/1.1\r\nHost: k\r\nConnection: x, Close\r\n\r\nGET /b HTTP/1.1\r\nHost: k\r\n\r\n")
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\n\(ownFields)Connection: close\r\n\r\n")
    var old = Pipe()
    try old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n")
    #expect(old.text == "GET / HTTP/1.0\r\n\(ownFields)Connection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\(ownFields)Connection: close\r\n\r\n")
}

private let webSocket = "GET /ws HTTP/1.1\r\nHost: k\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: a\r\n\r\n"

@Test("after a WebSocket's handshake bytes pass as they are, and before it nothing that could be one", arguments: [1, 10_000])
func upgrade(_ piece: Int) throws {
    var pipe = Pipe()
    let forged = "GET / HTTP/1.1\r\nX-Real-IP: 6\r\n\r\n"
    let rest = try pipe.send(webSocket + forged)
    #expect(rest == forged)
    #expect(pipe.gate.isHeld && !pipe.gate.isTunnel)
    #expect(pipe.text == "GET /ws HTTP/1.1\r\nHost: k\r\nSec-WebSocket-Key: a\r\n\(ownFields)Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    try pipe.respond("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n\u{1}\n", piece: piece)
    #expect(pipe.gate.isTunnel && !pipe.gate.isHeld && pipe.gate.outstanding == 0)
    pipe.server = []
    try pipe.send(rest)
    #expect(pipe.text == rest)
}

@Test("a WebSocket that the server does not want leaves HTTP behind")
func refusedUpgrade() throws {
    var pipe = Pipe()
    let rest = try pipe.send(webSocket + "GET / HTTP/1.1\r\nHost: k\r\nX-Real-IP: 6\r\n\r\n")
    try pipe.respond("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 1\r\n\r\n")
    #expect(pipe.gate.isHeld)
    try pipe.respond("x")
    #expect(!pipe.gate.isHeld)
    pipe.server = []
    try pipe.send(rest)
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\n\(ownFields)\r\n")
}

@Test("other protocols are not offered, and a server can't go over to them", arguments: ["h2c", "TLS/1.0", "foo"])
func otherUpgrades(_ name: String) throws {
    var pipe = Pipe()
    try pipe.send("GET / HTTP/1.1\r\nHost: k\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: \(name)\r\nHTTP2-Settings: x\r\n\r\n")
    #expect(pipe.text == "GET / HTTP/1.1\r\nHost: k\r\n\(ownFields)\r\n")
    _ = try thrownError(GateError.self) { try pipe.respond("HTTP/1.1 101 Switching Protocols\r\nUpgrade: \(name)\r\n\r\n") }
    var offered = Pipe()
    try offered.send(webSocket)
    _ = try thrownError(GateError.self) { try offered.respond("HTTP/1.1 101 Switching Protocols\r\nUpgrade: \(name)\r\n\r\n") }
}

@Test("there is no CONNECT")
func connect() throws {
    var pipe = Pipe()
    #expect(try thrownError(GateError.self) { try pipe.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n") }.status == 501)
    #expect(pipe.server == [])
}

@Test("responses are followed, however the stream is cut", arguments: [1, 2, 7, 10_000])
func responses(_ piece: Int) throws {
    var pipe = Pipe()
    for method in ["GET", "HEAD", "PUT", "POST", "GET"] { try pipe.send("\(method) / HTTP/1.1\r\nHost: k\r\n\r\n") }
    try pipe.respond("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", piece: piece)
    #expect(pipe.gate.outstanding == 4 && pipe.gate.isAnswerable)
    try pipe.respond("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", piece: piece)
    #expect(pipe.gate.outstanding == 3)
    try pipe.respond("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", piece: piece)
    #expect(pipe.gate.outstanding == 1 && !pipe.gate.isOver)
    try pipe.respond("HTTP/1.1 200 OK\r\n\r\nto the end", piece: piece)
    #expect(pipe.gate.outstanding == 1 && !pipe.gate.isAnswerable)
    let isWhole = pipe.gate.serverEnded()
    #expect(isWhole && pipe.gate.outstanding == 0)
}

@Test("a response that nobody has asked for is not passed on")
func unasked() throws {
    var pipe = Pipe()
    _ = try thrownError(GateError.self) { try pipe.respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
    var other = Pipe()
    try other.send("GET / HTTP/1.1\r\nHost: k\r\n\r\n")
    _ = try thrownError(GateError.self) { try other.respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n") }
}

@Test("a server that ends too early is told from one that has said all")
func endings() throws {
    var pipe = Pipe()
    let isIdle = pipe.gate.serverEnded()
    #expect(isIdle)
    try pipe.send("GET / HTTP/1.1\r\nHost: k\r\n\r\n")
    let isWhole = pipe.gate.serverEnded()
    #expect(!isWhole && pipe.gate.isAnswerable)
    try pipe.respond("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab")
    let isWholeThen = pipe.gate.serverEnded()
    #expect(!isWholeThen && !pipe.gate.isAnswerable)
}

@Test("requests wait when many responses are due")
func pipelining() throws {
    var pipe = Pipe()
    let request = "GET / HTTP/1.1\r\nHost: k\r\n\r\n"
    #expect(try pipe.send(String(repeating: request, count: HTTPGate.mostOutstanding + 1)) == request)
    #expect(pipe.gate.isHeld)
    try pipe.respond("HTTP/1.1 204 No\r\n\r\n")
    #expect(!pipe.gate.isHeld)
    #expect(try pipe.send(request) == "")
}

@Test("an answer of our own has no body where none is wanted")
func answers() throws {
    var pipe = Pipe()
    let whole = String(decoding: pipe.gate.answer(400, "no"), as: UTF8.self)
    #expect(whole == "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
    try pipe.send("HEAD / HTTP/1.1\r\nHost: k\r\n\r\n")
    #expect(String(decoding: pipe.gate.answer(502, "no"), as: UTF8.self).hasSuffix("close\r\n\r\n"))
}
