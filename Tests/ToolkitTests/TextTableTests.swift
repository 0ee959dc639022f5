import Testing
import Toolkit

private let plain = Terminal(columns: 80, hasColour: false)

private func table() -> TextTable {
    var table = TextTable([
        .init("WHAT"), .init("SIZE", isNumber: true), .init("EMPTY"), .init("WHERE", shortest: 12), .init("ID", mayBeMissed: true),
    ])
    table.add(["newest", "96", "", "https://relay.example/pkarr", "0123abcd"], style: .good)
    table.add(["nothing", "1000", "", "192.0.2.7:6881", "4567ef01"], style: .faint, note: "far from the key\u{1b}[2J")
    return table
}

@Test("columns are aligned, numbers to the right, one without text is left out, and a note stands behind")
func alignment() {
    #expect(table().lines(for: Terminal(columns: 100, hasColour: false)) == [
        "WHAT     SIZE  WHERE                        ID",
        "newest     96  https://relay.example/pkarr  0123abcd",
        "nothing  1000  192.0.2.7:6881               4567ef01  far from the key\\u{1b}[2J",
    ])
}

@Test("what is too wide is cut where it may be, then columns are missed, the last first; a note goes below")
func fitting() {
    #expect(table().lines(for: Terminal(columns: 42, hasColour: false)) == [
        "WHAT     SIZE  WHERE              ID",
        "newest     96  https://…le/pkarr  0123abcd",
        "nothing  1000  192.0.2.7:6881     4567ef01",
        "    far from the key\\u{1b}[2J",
    ])
    #expect(table().lines(for: Terminal(columns: 28, hasColour: false)) == [
        "WHAT     SIZE  WHERE",
        "newest     96  https:…pkarr",
        "nothing  1000  192.0.…:6881",
        "    far from the",
        "    key\\u{1b}[2J",
    ])
}

@Test("every line fits as long as there is something to cut or to miss", arguments: [27, 40, 47, 48, 60, 79, 80, 200])
func widths(columns: Int) {
    for line in table().lines(for: Terminal(columns: columns, hasColour: false)) { #expect(line.count <= columns) }
}

@Test("colour is on what it is for and takes no width")
func colour() {
    let coloured = table().lines(for: Terminal(columns: 100, hasColour: true))
    #expect(coloured[1].hasPrefix("\u{1b}[32mnewest\u{1b}[0m     96"))
    #expect(coloured[2].hasPrefix("\u{1b}[2mnothing\u{1b}[0m  1000"))
    #expect(!table().lines(for: plain).joined().contains("\u{1b}"))
}

@Test("text is shortened in its middle")
func shortening() {
    #expect(shortened("abcdefgh", to: 8) == "abcdefgh")
    #expect(shortened("abcdefgh", to: 5) == "ab…gh")
    #expect(shortened("abcdefgh", to: 4) == "ab…h")
    #expect(shortened("abcdefgh", to: 1) == "a")
    #expect(shortened("abcdefgh", to: 0) == "")
}

@Test("sentences are broken between words, and hostile ones escaped")
func wrapping() {
    let narrow = Terminal(columns: 16, hasColour: false)
    #expect(narrow.wrapped("the packet is well stored", indentation: 2) == ["  the packet is", "  well stored"])
    #expect(narrow.wrapped("abcdefghijklmnopqrstuvwxyz is long") == ["abcdefghijklmnopqrstuvwxyz", "is long"])
    #expect(narrow.wrapped("a\u{202e}b") == ["a\\u{202e}b"])
    #expect(narrow.wrapped("") == [""])
}
