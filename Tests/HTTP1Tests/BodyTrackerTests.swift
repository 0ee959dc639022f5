import Testing
import TestSupport

@testable import HTTP1

/// Feeds a tracker pieces; gives the bytes that belong to the body, those of its trailers, and what is behind it.
private func follow(_ framing: BodyFraming, _ text: String, piece: Int = .max) throws -> (body: String, trailers: String, rest: String, isFinished: Bool) {
    var tracker = BodyTracker(framing)
    var body: [UInt8] = [], trailers: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty, !tracker.isFinished {
        let count = try rest.prefix(piece).withUnsafeBytes { try tracker.consume($0) }
        if tracker.tookTrailer { trailers += rest.prefix(count) } else { body += rest.prefix(count) }
        rest = rest.dropFirst(count)
    }
    return (String(decoding: body, as: UTF8.self), String(decoding: trailers, as: UTF8.self), String(decoding: rest, as: UTF8.self), tracker.isFinished)
}

@Test("a body of a known length ends there", arguments: [1, 2, 100])
func length(_ piece: Int) throws {
    #expect(try follow(.length(5), "helloGET", piece: piece) == ("hello", "", "GET", true))
    #expect(try follow(.length(9), "hello", piece: piece) == ("hello", "", "", false))
    #expect(try follow(.none, "GET", piece: piece) == ("", "", "GET", true))
    #expect(try follow(.length(0), "GET", piece: piece) == ("", "", "GET", true))
}

@Test("a body to the end of the connection ends with it alone")
func untilClose() throws {
    var tracker = BodyTracker(.untilClose)
    #expect(try Array("abc".utf8).withUnsafeBytes { try tracker.consume($0) } == 3)
    #expect(!tracker.isFinished)
    let isWhole = tracker.finish()
    #expect(isWhole && tracker.isFinished)
    var measured = BodyTracker(.length(1))
    let isMeasuredWhole = measured.finish()
    #expect(!isMeasuredWhole)
}

@Test("chunks are followed, however the stream is cut", arguments: [1, 2, 3, 7, 1000])
func chunks(_ piece: Int) throws {
    let plain = "5\r\nhello\r\n0A;a=\"b\"\r\n0123456789\r\n000\r\n\r\n"
    #expect(try follow(.chunked, plain + "GET /", piece: piece) == (plain, "", "GET /", true))
    let trailers = "X-A: b\r\nY:\r\n"
    #expect(try follow(.chunked, "1\r\na\r\n0\r\n\(trailers)\r\nrest", piece: piece) == ("1\r\na\r\n0\r\n\r\n", trailers, "rest", true))
    #expect(try follow(.chunked, "1\r\na\r\n0\r\n", piece: piece).isFinished == false)
}

private let badChunks: [String] = [
    "\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\n", "1\r1", "1;a\nb\r\n", "1;a\rb", ";a\r\n", "1,2\r\n", "1\r\nab\r\n",
    "1\r\na\n", "1\r\na\r0", "1\r\na0\r\n", "fffffffffffffffff\r\n", "0000000000000000\r\n", "10000000000000000\r\n", "1;\u{0}\r\n", "1_0\r\n",
    // Trailers.
    "0\r\n\n", "0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\n: y\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\nX: y\n\r\n", "0\r\nX: y\rZ", "0\r\nX: \u{0}\r\n\r\n",
    "0\r\n\rX",
]

@Test("chunks that could be read in two ways are refused", arguments: badChunks)
func badChunk(_ text: String) throws {
    #expect(try thrownError(MessageError.self) { try follow(.chunked, text) }.status == 400)
}

@Test("what is not data is bounded")
func bounded() throws {
    let extensions = String(repeating: "x", count: BodyTracker.longestSizeLine)
    _ = try thrownError(MessageError.self) { try follow(.chunked, "1;\(extensions)\r\na\r\n") }
    let trailer = "X: \(String(repeating: "y", count: 1000))\r\n"
    #expect(try follow(.chunked, "0\r\n" + trailer + "\r\n").isFinished)
    _ = try thrownError(MessageError.self) { try follow(.chunked, "0\r\n" + String(repeating: trailer, count: 9)) }
}

@Test("data that is certain may go by without being looked at")
func skipping() throws {
    var tracker = BodyTracker(.chunked)
    #expect(tracker.certain == 0)
    #expect(try Array("ff\r\n".utf8).withUnsafeBytes { try tracker.consume($0) } == 4)
    #expect(tracker.certain == 255)
    tracker.skip(200)
    #expect(tracker.certain == 55)
    tracker.skip(55)
    #expect(tracker.certain == 0)
    #expect(try Array("\r\n0\r\n\r\nX".utf8).withUnsafeBytes { try tracker.consume($0) } == 7)
    #expect(tracker.isFinished)
    var long = BodyTracker(.length(10))
    long.skip(10)
    #expect(long.isFinished)
    #expect(BodyTracker(.untilClose).certain == .max)
}
