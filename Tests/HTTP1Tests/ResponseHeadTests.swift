import Testing
import TestSupport

@testable import HTTP1

private func response(_ text: String) throws -> ResponseHead {
    try #require(try heads(Array((text + "\r\n\r\n").utf8), as: ResponseHead.self).first)
}

@Test("a response is read and sent as it came")
func responses() throws {
    let head = try response("HTTP/1.1 404 Not Found\r\nServer: a")
    #expect(head.status == 404)
    #expect(head.reason == "Not Found")
    #expect(head.bytes == Array("HTTP/1.1 404 Not Found\r\nServer: a\r\n\r\n".utf8))
    #expect(try response("HTTP/1.0 200").reason == "")
    #expect(try response("HTTP/1.0 200 ").minorVersion == 0)
}

@Test("what is no response is told", arguments: [
    "HTTP/1.1", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1  200 OK", "HTTP/1.1 +20 OK", "GET / HTTP/1.1", "ICY 200 OK",
    "HTTP/1.1 200 O\u{8}K", "HTTP/1.1 200 OK\r\nX : y", "HTTP/1.1 200 OK\r\n X: y", "HTTP/1.1 200 OK\r\nX: y\nY: z",
])
func noResponses(_ text: String) throws {
    #expect(try thrownError(MessageError.self) { try response(text) }.status == 400)
}

@Test("HTTP/2 is another version")
func version() throws { #expect(try thrownError(MessageError.self) { try response("HTTP/2.0 200 OK") } == .version) }

@Test("some responses end with their heads, whatever these say")
func bodiless() throws {
    let length = "\r\nContent-Length: 5"
    #expect(try response("HTTP/1.1 200 OK" + length).framing(for: "HEAD") == .none)
    #expect(try response("HTTP/1.1 204 No Content" + length).framing(for: "GET") == .none)
    #expect(try response("HTTP/1.1 304 Not Modified" + length).framing(for: "GET") == .none)
    #expect(try response("HTTP/1.1 100 Continue" + length).framing(for: "PUT") == .none)
    #expect(try response("HTTP/1.1 101 Switching Protocols" + length).framing(for: "GET") == .none)
    #expect(try response("HTTP/1.1 200 OK" + length).framing(for: "CONNECT") == .none)
    #expect(try response("HTTP/1.1 403 Forbidden" + length).framing(for: "CONNECT") == .length(5))
}

@Test("others are measured, and those that can't be go on to the end")
func measured() throws {
    #expect(try response("HTTP/1.1 200 OK\r\nContent-Length: 5").framing(for: "GET") == .length(5))
    #expect(try response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").framing(for: "GET") == .chunked)
    #expect(try response("HTTP/1.1 200 OK").framing(for: "GET") == .untilClose)
    #expect(try response("HTTP/1.0 200 OK").framing(for: "GET") == .untilClose)
}

@Test("a response that could be cut in two ways is refused", arguments: [
    "Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: gzip", "Content-Length: x",
])
func split(_ fields: String) throws {
    _ = try thrownError(MessageError.self) { try response("HTTP/1.1 200 OK\r\n\(fields)").framing(for: "GET") }
}

@Test("interim responses and those that end HTTP are told apart")
func kinds() throws {
    #expect(try response("HTTP/1.1 100 Continue").isInterim)
    #expect(try response("HTTP/1.1 103 Early Hints").isInterim)
    #expect(try !response("HTTP/1.1 101 Switching Protocols").isInterim)
    #expect(try response("HTTP/1.1 101 Switching Protocols").opensTunnel(for: "GET"))
    #expect(try response("HTTP/1.1 200 OK").opensTunnel(for: "CONNECT"))
    #expect(try !response("HTTP/1.1 200 OK").opensTunnel(for: "GET"))
    #expect(try !response("HTTP/1.1 407 No").opensTunnel(for: "CONNECT"))
}
