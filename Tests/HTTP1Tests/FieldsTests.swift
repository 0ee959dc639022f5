import Testing

@testable import HTTP1

private func fields(_ lines: String...) throws -> Fields {
    try Fields(parsing: Array(lines.map { $0 + "\r\n" }.joined().utf8)[...])
}

private func text(_ fields: Fields) -> String {
    var bytes: [UInt8] = []
    fields.write(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}

@Test("names are compared without regard to case")
func names() throws {
    var all = try fields("Accept: a", "X: b", "ACCEPT: c")
    #expect(all.values("accept") == ["a", "c"])
    #expect(all.first("aCCept") == "a")
    #expect(all.first("y") == nil)
    #expect(all.contains("x") && !all.contains("xx"))
    all.remove("Accept")
    #expect(text(all) == "X: b\r\n")
    all.set("x", "d")
    all.append("E", "")
    #expect(text(all) == "x: d\r\nE: \r\n")
}

@Test("the elements of a list are those of all its lines")
func lists() throws {
    let all = try fields("Connection: Close , ,X-A", "connection:", "Connection: b;q=1")
    #expect(all.elements("connection") == ["close", "x-a", "b"])
    #expect(all.contains("x-a", in: "Connection"))
    #expect(!all.contains("x", in: "connection"))
}

@Test("what is for the next hop only is removed, also what Connection names")
func hopByHop() throws {
    var all = try fields(
        "Host: a", "Connection: X-One, keep-alive, Upgrade", "connection: x-two", "X-One: 1", "x-two: 2", "X-Three: 3", "Keep-Alive: timeout=5",
        "Proxy-Connection: close", "TE: trailers", "Upgrade: h2c", "HTTP2-Settings: x")
    all.removeHopByHop()
    #expect(text(all) == "Host: a\r\nX-Three: 3\r\n")
}

@Test("Connection can't take away what every recipient needs")
func named() throws {
    var all = try fields("Connection: Host, Content-Length, Transfer-Encoding, Authorization, Cookie", "Host: a", "Content-Length: 1", "Authorization: b", "Cookie: c")
    all.removeHopByHop()
    #expect(text(all) == "Host: a\r\nContent-Length: 1\r\nAuthorization: b\r\nCookie: c\r\n")
}

@Test("fields are equal if they are sent alike")
func equality() throws {
    var one = try fields("A: b", "C: d"), other = try fields("C: d")
    #expect(one != other)
    one.remove("a")
    #expect(one == other)
    other.append("E", "f")
    #expect(one != other)
}
