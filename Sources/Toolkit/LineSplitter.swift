/// Cuts a stream of bytes into lines, with a bound on their length.
public struct LineSplitter: Sendable {
    /// Longest line taken, in bytes. A packet line is at most some 8 KB, with all its records in readable form some 20 KB.
    public static let longestLine = 1 << 20

    private var pending: [UInt8] = []
    private var searched = 0
    /// The line is over the bound: it is thrown away up to its end and reported once.
    private var overlong = false

    public init() {}

    /// One line, or that one was too long.
    public enum Line: Equatable, Sendable {
        case bytes([UInt8])
        case tooLong
    }

    public mutating func append(_ bytes: [UInt8]) { pending += bytes }

    /// The next complete line without its newline, nil until more is appended.
    public mutating func next() -> Line? {
        guard let end = pending[searched...].firstIndex(of: 0x0a) else {
            searched = pending.count
            if pending.count > Self.longestLine {
                overlong = true
                pending = []
                searched = 0
            }
            return nil
        }
        let line = Array(pending[..<end])
        pending.removeSubrange(...end)
        searched = 0
        if overlong || line.count > Self.longestLine {
            overlong = false
            return .tooLong
        }
        return .bytes(line)
    }

    /// What stands after the last newline when the stream ends; nil if nothing.
    public mutating func finish() -> Line? {
        defer { self = LineSplitter() }
        if overlong { return .tooLong }
        return pending.isEmpty ? nil : .bytes(pending)
    }
}
