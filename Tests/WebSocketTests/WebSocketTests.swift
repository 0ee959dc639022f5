import Testing
import TestSupport

@testable import WebSocket

/// A client's frame, masked with 1, 2, 3, 4.
private func masked(_ first: UInt8, _ payload: [UInt8], mask: [UInt8] = [1, 2, 3, 4]) -> [UInt8] {
    var length: [UInt8] = [0x80 | UInt8(min(payload.count, 126))]
    if payload.count >= 126 { length += [UInt8(payload.count >> 8), UInt8(payload.count & 255)] }
    return [first] + length + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

private struct Got: Equatable {
    var kind: WebSocketReader.Kind
    var payload: [UInt8]
}

/// Feeds a reader pieces of a stream as a socket would, keeping what it leaves.
private func read(_ stream: [UInt8], piece: Int, role: WebSocketReader.Role = .server, limit: Int = 1000) throws -> [Got] {
    var reader = WebSocketReader(role: role, limit: limit)
    var got: [Got] = []
    var rest: [UInt8] = []
    var position = 0
    while position < stream.count {
        rest += stream[position..<min(position + piece, stream.count)]
        position += piece
        let taken = try rest.withUnsafeMutableBytes { bytes in
            try reader.read(bytes) { kind, payload in
                got.append(Got(kind: kind, payload: Array(payload)))
                return true
            }
        }
        rest.removeFirst(taken)
    }
    return got
}

@Test("messages come out whole, however the stream is cut", arguments: [1, 2, 3, 7, 64, 10_000])
func pieces(_ piece: Int) throws {
    let long = (0..<300).map { UInt8($0 & 255) }
    let stream = masked(0x82, [1, 2, 3]) + masked(0x89, [9]) + masked(0x02, [4, 5]) + masked(0x8a, []) + masked(0x00, [6]) + masked(0x80, long)
        + masked(0x81, Array("hi".utf8)) + masked(0x88, [3, 232])
    #expect(try read(stream, piece: piece) == [
        Got(kind: .binary, payload: [1, 2, 3]), Got(kind: .ping, payload: [9]), Got(kind: .pong, payload: []),
        Got(kind: .binary, payload: [4, 5, 6] + long), Got(kind: .text, payload: Array("hi".utf8)), Got(kind: .close, payload: [3, 232]),
    ])
}

@Test("a client reads what is not masked, and headers read back", arguments: [0, 1, 125, 126, 65535, 65536])
func headers(_ count: Int) throws {
    var stream: [UInt8] = []
    let header = WebSocketHeader(opcode: .binary, payload: count)
    header.append(to: &stream)
    #expect(stream.count == header.length)
    stream += [UInt8](repeating: 5, count: count)
    #expect(try read(stream, piece: 4096, role: .client, limit: 1 << 20) == [Got(kind: .binary, payload: [UInt8](repeating: 5, count: count))])
}

@Test("what RFC 6455 forbids ends the connection")
func forbidden() throws {
    let cases: [([UInt8], WebSocketError)] = [
        ([0x82, 1, 7], .protocolError),  // a client's frame without a mask
        (masked(0xc2, []), .protocolError), (masked(0x83, []), .protocolError), (masked(0x8b, []), .protocolError),
        (masked(0x80, []), .protocolError),  // goes on with nothing
        (masked(0x02, [1]) + masked(0x82, [2]), .protocolError),  // does not go on
        (masked(0x09, []), .protocolError), (masked(0x89, [UInt8](repeating: 0, count: 126)), .protocolError),
        ([0x82, 0xfe, 0, 5, 0, 0, 0, 0], .protocolError), ([0x82, 0xff, 0, 0, 0, 0, 0, 0, 1, 0], .protocolError),
        ([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], .protocolError),
        (masked(0x82, [UInt8](repeating: 0, count: 1001)), .messageTooLarge),
        (masked(0x02, [UInt8](repeating: 0, count: 600)) + masked(0x80, [UInt8](repeating: 0, count: 401)), .messageTooLarge),
        ([0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0], .messageTooLarge),
    ]
    for (stream, error) in cases {
        #expect(try thrownError(WebSocketError.self) { try read(stream, piece: 5000) } == error, "\(stream.prefix(12))")
    }
}

@Test("a reader stops when it is told to")
func stops() throws {
    var reader = WebSocketReader(role: .server, limit: 10)
    var stream = masked(0x82, [1]) + masked(0x82, [2])
    var count = 0
    let taken = try stream.withUnsafeMutableBytes { bytes in
        try reader.read(bytes) { _, _ in
            count += 1
            return false
        }
    }
    #expect((count, taken) == (1, 7))
}

@Test("the answer to a client's key is RFC 6455's")
func acceptKey() {
    #expect(WebSocketHandshake.accept(key: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    #expect(WebSocketHandshake.accept(key: "short") == nil)
    #expect(WebSocketHandshake.words(" a, b\t,,c ") == ["a", "b", "c"])
}
