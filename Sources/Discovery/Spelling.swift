import Platform

/// Units of time that a person thinks in, longest first, in microseconds.
private let units: [(name: String, letter: String, length: UInt64)] = [
    ("day", "d", 86_400_000_000), ("hour", "h", 3_600_000_000), ("minute", "min", 60_000_000), ("second", "s", 1_000_000),
    ("millisecond", "ms", 1000), ("microsecond", "us", 1),
]

/// A span in words, cut to its largest unit: `3 minutes`.
func spelled(microseconds: UInt64) -> String {
    let unit = units.first { microseconds >= $0.length } ?? units.last!
    return counted(Int(clamping: microseconds / unit.length), unit.name, unit.name + "s")
}

/// A span for a table, cut to its largest unit: `3 min`.
public func brief(microseconds: UInt64) -> String {
    if microseconds == 0 { return "0 s" }
    let unit = units.first { microseconds >= $0.length } ?? units.last!
    return "\(microseconds / unit.length) \(unit.letter)"
}

/// `1 node`, `2 nodes`.
public func counted(_ count: Int, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }

/// A round trip for a table: `0.4 ms`, `12 ms`.
public func brief(_ roundTrip: Duration) -> String {
    let tenths = (roundTrip.nanoseconds + 50_000) / 100_000
    return tenths < 100 ? "\(tenths / 10).\(tenths % 10) ms" : "\(tenths / 10) ms"
}
