import Glibc

/// Dates of HTTP headers (RFC 9110, 5.6.7): whole seconds, always in GMT.
public enum HTTPDate {
    /// 9999-12-31 23:59:59.
    private static let lastSecond: UInt64 = 253_402_300_799
    private static let format = "%a, %d %b %Y %H:%M:%S GMT"

    /// - Parameter microseconds: Since 1970; what is less than a second is cut off.
    public static func text(microseconds: UInt64) -> String {
        // A timestamp may be far outside the calendar; the format has four digits for the year.
        var seconds = time_t(min(microseconds / 1_000_000, lastSecond))
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            strftime(buffer.baseAddress!, 64, format, &parts)
            return String(cString: buffer.baseAddress!)
        }
    }

    /// Microseconds since 1970; nil for anything else than the one format that is still sent.
    public static func microseconds(_ text: String) -> UInt64? {
        // "Sun, 06 Nov 1994 08:49:37 GMT"
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.map(\.utf8.count) == [4, 2, 3, 4, 8, 3], words[5] == "GMT", let day = Int32(words[1]), (1...31).contains(day),
            let month = months.firstIndex(of: String(words[2])), let year = Int32(words[3]), year >= 1970
        else { return nil }
        let clock = words[4].split(separator: ":", omittingEmptySubsequences: false).map { $0.utf8.count == 2 ? Int32($0) ?? -1 : -1 }
        guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...60).contains(clock[2]) else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, Int32(month), day)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (clock[0], clock[1], clock[2])
        let seconds = timegm(&parts)
        // A leap second at the very end would need a fifth digit.
        return seconds <= latest ? UInt64(seconds) * 1_000_000 : nil
    }

    /// 31 December 9999, 23:59:59.
    private static let latest: time_t = 253_402_300_799

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
