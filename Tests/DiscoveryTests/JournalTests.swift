import Testing

@testable import Discovery

private let now: UInt64 = 1_800_000_000
private let key = String(repeating: "y", count: 52), other = String(repeating: "o", count: 52)
private let heading = String(decoding: JournalContents.heading, as: UTF8.self)

private func read(_ text: String) -> JournalContents? { JournalContents(Array(text.utf8), now: now, lifetime: 3600) }

@Test("of each key the last line counts, as long as it is not too old")
func lastLines() throws {
    let text = heading + "\(key) 5 \(now - 10)\n\(other) 7 \(now - 3600)\n\(key) 6 \(now)\n"
    let contents = try #require(read(text))
    #expect(contents.entries == [key: .init(timestamp: 6, storedAt: now)])
    #expect(contents.uselessLines == 2)
    #expect(contents.wholeBytes == text.utf8.count)
    #expect(contents.compacted == Array((heading + "\(key) 6 \(now)\n").utf8))
}

@Test("a journal cut off at any byte is one, and holds what stood on the whole lines")
func torn() throws {
    let text = heading + "\(key) 5 \(now)\n\(other) 6 \(now)\n"
    for length in 0...text.utf8.count {
        let bytes = Array(text.utf8.prefix(length))
        let contents = try #require(JournalContents(bytes, now: now, lifetime: 3600), "cut after \(length) bytes")
        let lines = max(0, bytes.count { $0 == 0x0a } - 1)
        #expect(contents.entries.count == lines && contents.uselessLines == 0)
        #expect(contents.wholeBytes == (length < heading.utf8.count ? 0 : (bytes.lastIndex(of: 0x0a)! + 1)))
    }
}

@Test("what is something else is not taken for a journal", arguments: ["x", "keyhole\n", "{\"public_key\":1}\n", "\n", "\0"])
func foreign(text: String) { #expect(read(text) == nil) }

@Test("lines that say nothing are passed over", arguments: [
    "", " ", "rubbish", "a b c", "5 5 5", "KEY -1 1", "KEY 5", "KEY 5 5 5", "KEY 99999999999999999999 5", "KEY 5 99999999999", "KEY 5  ", "\u{0}",
])
func useless(line: String) throws {
    let line = line.hasPrefix("KEY") ? key + line.dropFirst(3) : line
    let contents = try #require(read(heading + line + "\n\(other) 6 \(now)\n"))
    #expect(contents.entries == [other: .init(timestamp: 6, storedAt: now)] && contents.uselessLines == 1)
}
