/// How often something may be done: so many times a second or minute in the long run, and so many times at once.
public struct Quota: Hashable, Sendable {
    /// Times within ``period``, and at once.
    public static let counts = 1...1_000_000

    public enum Period: String, Sendable {
        case second = "s"
        case minute = "m"

        var nanoseconds: UInt64 { self == .second ? 1_000_000_000 : 60_000_000_000 }
    }

    public let count: Int
    public let period: Period
    /// Times at once, after a while without any.
    public let burst: Int

    /// Nil for numbers outside of ``counts``.
    ///
    /// - Parameter burst: As many as in one period unless given.
    public init?(_ count: Int, each period: Period, burst: Int? = nil) {
        guard Quota.counts.contains(count), Quota.counts.contains(burst ?? count) else { return nil }
        self.count = count
        self.period = period
        self.burst = burst ?? count
    }

    /// Reads pkarr-relay's `2r/s` and `3r/m` (spec/pkarr-wire.md, 2.3), with the burst behind a comma if it is not the same number:
    /// `2r/s,burst=10`.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        let rate = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        guard rate.count == 2, rate[0].hasSuffix("r"), let count = Quota.number(rate[0].dropLast()),
            let period = Period(rawValue: String(rate[1]))
        else { return nil }
        guard parts.count == 2 else {
            self.init(count, each: period)
            return
        }
        guard parts[1].hasPrefix("burst="), let burst = Quota.number(parts[1].dropFirst("burst=".count)) else { return nil }
        self.init(count, each: period, burst: burst)
    }

    private static func number(_ digits: some StringProtocol) -> Int? {
        digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
    }

    /// Nanoseconds from one time to the next in the long run.
    var interval: UInt64 { period.nanoseconds / UInt64(count) }
}

extension Quota: CustomStringConvertible {
    public var description: String { "\(count)r/\(period.rawValue)" + (burst == count ? "" : ",burst=\(burst)") }
}
