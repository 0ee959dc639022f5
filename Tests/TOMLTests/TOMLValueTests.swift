import TestSupport
import Testing

@testable import TOML

private func parse(_ text: String) throws(TOMLSyntaxError) -> TOMLValue { try TOMLValue(parsing: Array(text.utf8)) }

private func at(_ line: Int, _ column: Int, _ content: TOMLValue.Content) -> TOMLValue {
    TOMLValue(content, at: TOMLPlace(line: line, column: column))
}

@Test("every kind of value is read, with the place of its key")
func values() throws {
    let document = try parse("""
        text = "a\\u00e9"
        [one]
          number = -7
          real = 0.5
          yes = true
          when = 2026-11-29
        [one.two]
        list = ["a", 1,
          [true]]
        """)
    #expect(document.content == .table([
        "text": at(1, 1, .string("aé")),
        "one": at(2, 2, .table([
            "number": at(3, 3, .integer(-7)), "real": at(4, 3, .real(0.5)), "yes": at(5, 3, .boolean(true)), "when": at(6, 3, .time),
            "two": at(7, 6, .table(["list": at(8, 1, .array([at(8, 9, .string("a")), at(8, 14, .integer(1)), at(9, 3, .array([at(9, 4, .boolean(true))]))]))])),
        ])),
    ]))
}

@Test("an empty document is an empty table")
func empty() throws {
    #expect(try parse("").content == .table([:]))
    #expect(try parse("# nothing\n").content == .table([:]))
}

@Test("what is no TOML is refused with its place", arguments: [
    "[one]\nkey = \n", "a = 1\na = 2\n", "a = \"", "[a", "a = 1 b = 2", "\u{0}", "a = 2026-13-01", "[a]\n[a]\n", "x = [1, 2",
])
func refused(_ text: String) throws {
    let error = try thrownError(TOMLSyntaxError.self) { try parse(text) }
    #expect(error.place.line >= 1 && error.place.column >= 1 && !error.reason.isEmpty)
}

@Test("an error does not quote the document, which may hold a password", arguments: [
    "password = truhunter", "password = \"a\" hunter", "password = 0xhunter", "password = 'hunter", "password = hunter",
])
func secrecy(_ text: String) throws {
    let error = try thrownError(TOMLSyntaxError.self) { try parse(text) }
    #expect(!error.reason.contains("hunter") && !error.reason.contains("saw"))
}

@Test("the place of an error is told")
func place() throws {
    #expect(try thrownError(TOMLSyntaxError.self) { try parse("[pkdns]\npublic_ip = 127.0.0.1\n") }.place.line == 2)
    #expect(try thrownError(TOMLSyntaxError.self) { try parse("a = 1\n\nb = ?\n") }.place == TOMLPlace(line: 3, column: 5))
}

@Test("what the library takes for impossible is refused too", arguments: ["[[[a]]]", "[[[[[[[[ = [", "[[\"", "[[ ["])
func impossible(_ text: String) throws {
    #expect(try !thrownError(TOMLSyntaxError.self) { try parse(text) }.reason.isEmpty)
}

@Test("bytes that are no UTF-8 are refused")
func bytes() { #expect(throws: TOMLSyntaxError.self) { try TOMLValue(parsing: [0x61, 0x3d, 0x22, 0xff, 0x22]) } }

@Test("values nested without end are refused, and don't end the process")
func nested() {
    #expect(throws: TOMLSyntaxError.self) { try parse("a = " + String(repeating: "[", count: 10_000)) }
}
