import Platform
import Testing

private let spellings: [(bytes: UInt64, text: String)] = [
    (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1999, "1.9 kB"), (999_999, "999.9 kB"), (1_000_000, "1.0 MB"), (12_345_678_901, "12.3 GB"),
    (.max, "18.4 EB"),
]

@Test("a number of bytes is spelled with three digits or four, and never rounded up")
func spelledBytes() {
    for (bytes, text) in spellings { #expect(spelled(bytes: bytes) == text) }
}
