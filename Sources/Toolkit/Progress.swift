import Platform

/// How far a long piece of work has come, as a line of text. Without a clock.
public struct Progress: Sendable {
    private let startedAt: Instant
    /// Pieces in all, if known.
    public let total: Int?
    /// Pieces that are done.
    public var done = 0
    /// Those of them that cost nothing: they say nothing of how fast it goes.
    public var skipped = 0
    public var failed = 0

    public init(total: Int?, now: Instant) {
        self.total = total
        startedAt = now
    }

    /// `1234 of 10000 (12 %), 98/s, 3 failed, 1:29 left`
    public func text(now: Instant) -> String {
        let seconds = (now - startedAt).milliseconds / 1000
        let rate = seconds > 0 ? Double(done - skipped) / seconds : 0
        var parts = [total.map { "\(done) of \(max($0, done)) (\(done * 100 / max($0, done, 1)) %)" } ?? "\(done)"]
        if rate > 0 { parts.append(rate < 10 ? "\(Self.tenths(rate))/s" : "\(Int(rate))/s") }
        if failed > 0 { parts.append("\(failed) failed") }
        if let total, total > done, rate > 0 { parts.append("\(Self.clock(Double(total - done) / rate)) left") }
        return parts.joined(separator: ", ")
    }

    private static func tenths(_ number: Double) -> String { "\(Int(number * 10) / 10).\(Int(number * 10) % 10)" }

    /// `1:05`, `2:00:00`
    private static func clock(_ seconds: Double) -> String {
        let seconds = Int(min(seconds.rounded(.up), 1e9))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return seconds < 3600
            ? "\(seconds / 60):\(two(seconds % 60))" : "\(seconds / 3600):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
    }
}
