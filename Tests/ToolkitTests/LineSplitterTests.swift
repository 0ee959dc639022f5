import Testing
import Toolkit

@Test("lines come out whole however the bytes were cut")
func cuts() {
    for cut in 0...8 {
        var splitter = LineSplitter()
        let bytes = Array("ab\n\ncd\nx".utf8)
        var lines: [LineSplitter.Line] = []
        for piece in [bytes[..<cut], bytes[cut...]] {
            splitter.append(Array(piece))
            while let line = splitter.next() { lines.append(line) }
        }
        #expect(lines == [.bytes(Array("ab".utf8)), .bytes([]), .bytes(Array("cd".utf8))])
        #expect(splitter.finish() == .bytes(Array("x".utf8)))
    }
}

@Test("a line over the bound is reported once and the next one is read")
func overlong() {
    var splitter = LineSplitter()
    for _ in 0..<40 {
        splitter.append([UInt8](repeating: 0x78, count: 65536))
        #expect(splitter.next() == nil)
    }
    splitter.append(Array("\nok\n".utf8))
    #expect(splitter.next() == .tooLong)
    #expect(splitter.next() == .bytes(Array("ok".utf8)))
}

@Test("durations are read with their unit, and only so")
func durations() {
    #expect(DurationArgument(argument: "250ms")?.duration == .milliseconds(250))
    #expect(DurationArgument(argument: "5m")?.duration == .seconds(300))
    for text in ["", "5", "m", "-5m", "5 m", "5w", "99999999999s"] { #expect(DurationArgument(argument: text) == nil) }
}

@Test("control characters never reach a terminal")
func escaping() { #expect(printable("a\u{1b}[31m\u{202e}ü") == #"a\u{1b}[31m\u{202e}ü"#) }
