import Testing
@testable import Mainline

@Test("what is read is written back byte for byte", arguments: [
    "i0e", "i-1e", "i-9223372036854775808e", "i9223372036854775807e", "0:", "4:spam", "le", "l4:spami42ee", "de", "d1:ai1e1:bl1:xee",
    "d1:bi1e1:ai2ee", "lllleeee",
])
func roundTrip(text: String) throws {
    #expect(try Bencode(Array(text.utf8)).encoded == Array(text.utf8))
}

@Test("malformed data is refused, and where it went wrong is told", arguments: [
    ("", .truncated, 0), ("i", .truncated, 1), ("i12", .truncated, 3), ("ie", .badNumber, 1), ("i-0e", .badNumber, 1), ("i-e", .badNumber, 1), ("i00e", .badNumber, 1), ("i-9223372036854775809e", .badNumber, 1),
    ("i007e", .badNumber, 1), ("i+1e", .badNumber, 1), ("i 1e", .badNumber, 1), ("i9223372036854775808e", .badNumber, 1),
    ("i1111111111111111111111e", .badNumber, 1), ("5:spam", .truncated, 2), ("04:spam", .badNumber, 0), ("-1:a", .unexpectedByte, 0),
    ("99999999999999999999:a", .badNumber, 0), ("9223372036854775807:a", .truncated, 20), ("l", .truncated, 1), ("li1e", .truncated, 4),
    ("d1:a", .truncated, 4), ("di1ei1ee", .unexpectedByte, 1), ("d1:ai1e1:ai2ee", .duplicateKey, 7), ("x", .unexpectedByte, 0),
    ("i1ei2e", .trailingBytes, 3), (String(repeating: "l", count: 40), .tooDeep, 17),
] as [(String, Bencode.ReadError.Reason, Int)])
func refused(text: String, reason: Bencode.ReadError.Reason, offset: Int) {
    #expect(throws: Bencode.ReadError(reason: reason, offset: offset)) { try Bencode(Array(text.utf8)) }
}

@Test("dictionaries are written with sorted keys and without what is missing")
func sorted() {
    #expect(Bencode.sorted(["b": .integer(1), "aa": .string([]), "a": nil, "B": .list([])]).encoded == Array("d1:Ble2:aa0:1:bi1ee".utf8))
}
