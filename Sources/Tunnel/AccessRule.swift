import Glibc
import Platform
import RateLimits

/// What a key on an access list may do; what is not said is not limited.
public struct AccessRule: Equatable, Sendable {
    /// The targets it may open; any of the bridge's when empty. The first is its own target when the bridge has none.
    public var targets: [HostAndPort] = []
    /// Streams at once.
    public var streams: Int?
    /// New streams.
    public var rate: Quota?
    /// Bytes in both directions together within ``Self/day``.
    public var bytes: Int64?
    /// Seconds since 1970 from which on it may do nothing.
    public var expiry: UInt64?

    /// What ``bytes`` counts within, from the first stream on.
    public static let day: Duration = .seconds(86400)

    public init() {}

    /// Reads `NAME=VALUE` words, each name once.
    ///
    /// - Throws: ``Mistake`` for the first word that is wrong.
    init(parsing words: [(name: Substring, value: Substring)]) throws(Mistake) {
        var seen: Set<Substring> = []
        for (name, value) in words {
            guard seen.insert(name).inserted else { throw Mistake("\(name) is given twice") }
            switch name {
            case "permitopen":
                for text in value.split(separator: ",", omittingEmptySubsequences: false) {
                    guard let target = HostAndPort(text), target.port != 0 else { throw Mistake("permitopen: \"\(text)\" is no HOST:PORT") }
                    targets.append(target)
                }
            case "maxstreams":
                guard let number = Int(value), (1...1_000_000).contains(number) else { throw Mistake("maxstreams: \"\(value)\" is no number from 1 on") }
                streams = number
            case "streamrate":
                guard let quota = Quota(value) else { throw Mistake("streamrate: \"\(value)\" is no rate such as 10r/s or 30r/m,burst=10") }
                rate = quota
            case "maxbytes":
                guard let number = ByteSize(value)?.bytes else { throw Mistake("maxbytes: \"\(value)\" is no size such as 500M or 20G") }
                bytes = number
            case "expires":
                guard let time = Self.time(value) else { throw Mistake("expires: \"\(value)\" is no date such as 2027-01-31 or 2027-01-31T18:00Z") }
                expiry = time
            default: throw Mistake("\"\(name)\" is no option; there are permitopen, maxstreams, streamrate, maxbytes and expires")
            }
        }
    }

    /// What is wrong with an option, as a sentence.
    struct Mistake: Error {
        var text: String
        init(_ text: String) { self.text = text }
    }

    /// A day, at whose beginning it ends, or a minute of it, in UTC (RFC 3339, without seconds).
    private static func time(_ text: Substring) -> UInt64? {
        let parts = text.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        guard let date = numbers(parts[0], "-", [4, 2, 2]), (1970...9999).contains(date[0]), (1...12).contains(date[1]), (1...31).contains(date[2])
        else { return nil }
        var clock: [Int32] = [0, 0]
        if parts.count == 2 {
            guard parts[1].last == "Z", let found = numbers(parts[1].dropLast(), ":", [2, 2]), found[0] < 24, found[1] < 60 else { return nil }
            clock = found
        }
        var calendar = tm()
        (calendar.tm_year, calendar.tm_mon, calendar.tm_mday) = (date[0] - 1900, date[1] - 1, date[2])
        (calendar.tm_hour, calendar.tm_min) = (clock[0], clock[1])
        let seconds = timegm(&calendar)
        // February has no 30th, which timegm would take for a day in March.
        return calendar.tm_mday == date[2] ? UInt64(seconds) : nil
    }

    private static func numbers(_ text: Substring, _ separator: Character, _ lengths: [Int]) -> [Int32]? {
        let words = text.split(separator: separator, omittingEmptySubsequences: false)
        guard words.map(\.utf8.count) == lengths, words.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else { return nil }
        return words.compactMap { Int32($0) }
    }
}
