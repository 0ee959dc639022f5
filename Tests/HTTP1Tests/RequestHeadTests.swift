import Testing
import TestSupport

@testable import HTTP1

/// Feeds a reader pieces of a stream as a socket would, and gives what heads come out.
func heads<Head: MessageHead>(_ stream: [UInt8], piece: Int = .max, limit: Int = 64 << 10, as type: Head.Type = Head.self) throws -> [Head] {
    var reader = HeadReader<Head>(limit: limit)
    var found: [Head] = []
    var rest = stream[...]
    while !rest.isEmpty {
        reader.append(rest.prefix(piece))
        rest = rest.dropFirst(piece)
        while let head = try reader.next() { found.append(head) }
    }
    return found
}

func request(_ text: String, host: Bool = true) throws -> RequestHead {
    try #require(try heads(Array((text + (host ? "\r\nHost: a" : "") + "\r\n\r\n").utf8), as: RequestHead.self).first)
}

private func refusal(_ text: String, limit: Int = 64 << 10) throws -> MessageError {
    try thrownError(MessageError.self) { try heads(Array(text.utf8), limit: limit, as: RequestHead.self) }
}

@Test("a head is read, however the stream is cut", arguments: [1, 2, 3, 17, 10_000])
func pieces(_ piece: Int) throws {
    let stream = "\r\nGET /a?b HTTP/1.1\r\nHost: example\r\nX-Empty:\r\nx-list: 1,  2\t \r\n\r\nHEAD / HTTP/1.0\r\n\r\n\r\nOPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"
    let found = try heads(Array(stream.utf8), piece: piece, as: RequestHead.self)
    try #require(found.count == 3)
    #expect(found[0].method == "GET")
    #expect(found[0].target == "/a?b")
    #expect(found[0].fields.all.map(\.name) == ["Host", "X-Empty", "x-list"])
    #expect(found[0].fields.all.map(\.value) == ["example", "", "1,  2"])
    #expect(found[1].minorVersion == 0)
    #expect(found[2].form == .asterisk)
}

@Test("a head is sent as it came, but for blanks at the end of lines")
func serialised() throws {
    let head = try #require(try heads(Array("POST /%C3%A9/é HTTP/1.1\r\nhOsT:a\r\nX:   b \t\r\nY:\r\n\r\n".utf8), as: RequestHead.self).first)
    #expect(head.bytes == Array("POST /%C3%A9/é HTTP/1.1\r\nhOsT:a\r\nX:   b\r\nY:\r\n\r\n".utf8))
}

@Test("bytes of a value that are no UTF-8 are sent as they came")
func latin1() throws {
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX-Name: caf".utf8) + [0xe9] + Array("\r\n\r\n".utf8)
    let head = try #require(try heads(bytes, as: RequestHead.self).first)
    #expect(head.fields.first("x-name") == "caf\u{fffd}")
    #expect(head.bytes == bytes)
}

@Test("what is behind a head stays unread")
func leftovers() throws {
    var reader = HeadReader<RequestHead>()
    reader.append(Array("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET".utf8))
    #expect(try reader.next()?.framing() == .length(3))
    #expect(reader.takeUnread() == Array("abcGET".utf8))
    #expect(reader.unreadCount == 0)
    reader.append(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
    #expect(try reader.next()?.method == "GET")
}

@Test("a reader takes no more than a head of what it is shown", arguments: [1, 5, 1000])
func consuming(_ piece: Int) throws {
    let first = Array("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n".utf8)
    var rest = (first + Array("abc\r\n".utf8))[...]
    var reader = HeadReader<RequestHead>()
    var found: RequestHead?
    while found == nil {
        let (count, head) = try rest.prefix(piece).withUnsafeBytes { try reader.consume($0) }
        rest = rest.dropFirst(count)
        found = head
    }
    #expect(found?.bytes == first)
    #expect(Array(rest) == Array("abc\r\n".utf8))
    #expect(reader.unreadCount == 0)
}

private let malformedHeads: [String] = [
    // Line ends.
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    // First lines.
    " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\r\n\r\n",
    "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / http/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "GET / HTTP/1,1\r\nHost: a\r\n\r\n",
    "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
    "\u{16}\u{3}\u{1}",
    // Fields.
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\tTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX\u{b}: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{0}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{7f}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{8}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer\u{e9}Encoding: chunked\r\n\r\n",
    // Hosts.
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
]

@Test("what one server reads so and another otherwise is no head", arguments: malformedHeads)
func refused(_ text: String) throws {
    let error = try refusal(text)
    #expect(error.status == 400, "\(error)")
}

@Test("other versions than 1.0 and 1.1 are told apart from what is no HTTP", arguments: ["PRI * HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9"])
func versions(_ line: String) throws {
    #expect(try refusal("\(line)\r\nHost: a\r\n\r\n") == .version)
}

@Test("a head has a limit, to the byte, whether or not it ends")
func limits() throws {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 100))\r\n\r\n"
    #expect(try heads(Array(head.utf8), limit: head.utf8.count, as: RequestHead.self).count == 1)
    #expect(try refusal(head, limit: head.utf8.count - 1) == .headTooLarge)
    #expect(try refusal(String(head.dropLast(40)), limit: 60) == .headTooLarge)
    #expect(try refusal(String(repeating: "x", count: 1 << 20)) == .headTooLarge)
    #expect(try refusal(head, limit: 60).status == 431)
}

@Test("a head has so many fields")
func fieldCount() throws {
    let fields = String(repeating: "X: y\r\n", count: Fields.most - 1)
    #expect(try request("GET / HTTP/1.1\r\nHost: a\r\n\(fields.dropLast(2))", host: false).fields.count == Fields.most)
    #expect(try refusal("GET / HTTP/1.1\r\nHost: a\r\n\(fields)Y: z\r\n\r\n") == .headTooLarge)
}

@Test("a body is measured by one length or by chunks")
func framing() throws {
    #expect(try request("GET / HTTP/1.1").framing() == .none)
    #expect(try request("PUT / HTTP/1.1\r\nContent-Length: 0").framing() == .length(0))
    #expect(try request("PUT / HTTP/1.1\r\ncontent-length:\t5 ").framing() == .length(5))
    #expect(try request("PUT / HTTP/1.1\r\nContent-Length: 9223372036854775807").framing() == .length(UInt64(Int64.max)))
    #expect(try request("PUT / HTTP/1.1\r\ntransfer-encoding: Chunked").framing() == .chunked)
}

private let smuggling: [String] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Content-Length: -5",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length: 5.0",
    "Content-Length: ",
    "Content-Length: 9223372036854775808",
    "Content-Length: 99999999999999999999999",
    "Content-Length: \u{665}",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{a0}",
    "Transfer-Encoding:",
]

@Test("a body whose end could be read in two ways is refused", arguments: smuggling)
func smuggled(_ fields: String) throws {
    #expect(try thrownError(MessageError.self) { try request("POST / HTTP/1.1\r\n\(fields)").framing() }.status == 400)
}

@Test("HTTP/1.0 has no chunks")
func oldVersion() throws {
    #expect(try thrownError(MessageError.self) { try request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked").framing() }.status == 400)
}

@Test("a target is taken apart")
func targets() throws {
    #expect(try request("GET /a?b HTTP/1.1").form == .origin("/a?b"))
    #expect(try request("GET //a HTTP/1.1").form == .origin("//a"))
    #expect(try request("GET HTTP://A:8/b?c HTTP/1.1").form == .absolute(scheme: "http", authority: "A:8", path: "/b?c"))
    #expect(try request("GET http://a?b HTTP/1.1").form == .absolute(scheme: "http", authority: "a", path: "?b"))
    #expect(try request("GET ws://[::1] HTTP/1.1").form == .absolute(scheme: "ws", authority: "[::1]", path: ""))
    #expect(try request("CONNECT a:443 HTTP/1.1").form == .authority("a:443"))
}

@Test("a connection persists as its version and options say")
func persistence() throws {
    #expect(try request("GET / HTTP/1.1").isPersistent)
    #expect(try !request("GET / HTTP/1.1\r\nConnection: x\r\nConnection: Close").isPersistent)
    #expect(try !request("GET / HTTP/1.0").isPersistent)
    #expect(try request("GET / HTTP/1.0\r\nConnection: Keep-Alive").isPersistent)
}

@Test("an upgrade is offered by both fields, in HTTP/1.1 only")
func upgrades() throws {
    #expect(try request("GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket, h2c").upgrades == ["websocket", "h2c"])
    #expect(try request("GET / HTTP/1.1\r\nUpgrade: websocket").upgrades == [])
    #expect(try request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket").upgrades == [])
}
