import ArgumentParser
import RateLimits

/// How often something is done, on the command line: `4` or `4/s`, `100/m`, `unlimited`.
public struct RateArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    /// With what the rate gives in a second at once, but never less than one. Nil when it is unlimited.
    public var quota: Quota?
    private let text: String

    public init?(argument: String) {
        text = argument
        if argument == "unlimited" { return }
        let parts = argument.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int(parts[0]),
            let period = parts.count == 1 ? .second : Quota.Period(rawValue: String(parts[1]))
        else { return nil }
        guard let quota = Quota(count, each: period, burst: period == .second ? count : max(1, count / 60)) else { return nil }
        self.quota = quota
    }

    public var description: String { text }
    public var defaultValueDescription: String { text }
}

extension RateArgument: ExpressibleByStringLiteral {
    /// For defaults in the source; text that is no rate is a programmer's error.
    public init(stringLiteral value: String) { self = RateArgument(argument: value)! }
}
