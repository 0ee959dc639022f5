import ArgumentParser

/// A duration on the command line: `250ms`, `30s`, `5m`, `1h`, `7d`.
public struct DurationArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    public var duration: Duration
    private let text: String

    public init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let count = UInt32(digits) else { return nil }
        let seconds: Int64
        switch argument.dropFirst(digits.count) {
        case "ms":
            self.init(.milliseconds(Int64(count)), text: argument)
            return
        case "s": seconds = 1
        case "m": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86400
        default: return nil
        }
        self.init(.seconds(Int64(count) * seconds), text: argument)
    }

    private init(_ duration: Duration, text: String) {
        self.duration = duration
        self.text = text
    }

    public var description: String { text }
    public var defaultValueDescription: String { text }
}

extension DurationArgument: ExpressibleByStringLiteral {
    /// For defaults in the source; text that is no duration is a programmer's error.
    public init(stringLiteral value: String) { self = DurationArgument(argument: value)! }
}
