/// What the file of a ``PublicationJournal`` holds: a heading, and a line for each packet with its key, its timestamp in microseconds and
/// when it was stored, in seconds, both since 1970.
struct JournalContents {
    struct Entry: Equatable {
        var timestamp: UInt64
        var storedAt: UInt64
    }

    /// The first line.
    static let heading = Array("keyhole journal of stored packets, 1\n".utf8)

    /// Of each key the last line that still counts, by the key in z-base-32.
    private(set) var entries: [String: Entry] = [:]
    /// Bytes up to the end of the last whole line.
    private(set) var wholeBytes = 0
    /// Lines that count no more: too old, replaced by a later one, or unreadable.
    private(set) var uselessLines = 0

    /// Nil when the bytes are something else than a journal. The beginning of a heading is one, and so is an empty file.
    ///
    /// - Parameters:
    ///   - now: Seconds since 1970.
    ///   - lifetime: Seconds after which a line does not count any more.
    init?(_ bytes: [UInt8], now: UInt64, lifetime: UInt64) {
        guard bytes.starts(with: Self.heading) else {
            if Self.heading.starts(with: bytes) { return }
            return nil
        }
        var start = Self.heading.count
        while let end = bytes[start...].firstIndex(of: 0x0a) {
            note(bytes[start..<end], now: now, lifetime: lifetime)
            start = end + 1
        }
        wholeBytes = start
    }

    private mutating func note(_ line: ArraySlice<UInt8>, now: UInt64, lifetime: UInt64) {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3, Self.isKey(parts[0]), let timestamp = Self.number(parts[1]), let storedAt = Self.number(parts[2]),
            // One from the future was written by another clock.
            storedAt <= now, now - storedAt < lifetime
        else { return uselessLines += 1 }
        if entries.updateValue(Entry(timestamp: timestamp, storedAt: storedAt), forKey: String(decoding: parts[0], as: UTF8.self)) != nil {
            uselessLines += 1
        }
    }

    /// 52 letters and digits, as z-base-32 has them. Whether it is anybody's key does not matter: then it is never asked for.
    private static func isKey(_ text: ArraySlice<UInt8>) -> Bool {
        text.count == 52 && text.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        digits.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(String(decoding: digits, as: UTF8.self)) : nil
    }

    static func line(key: String, _ entry: Entry) -> [UInt8] { Array("\(key) \(entry.timestamp) \(entry.storedAt)\n".utf8) }

    /// The same entries in as few lines as they take.
    var compacted: [UInt8] { entries.reduce(into: Self.heading) { $0 += Self.line(key: $1.key, $1.value) } }
}
