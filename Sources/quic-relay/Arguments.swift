import ArgumentParser
import Platform

/// Bytes a second on the command line: `65536`, `500K`, `4M`, `1G`.
struct ByteRateArgument: ExpressibleByArgument {
    /// Less would not let a single frame through in a second; more is no limit on any machine.
    static let range = 65_536...100_000_000_000
    var bytesPerSecond: Int

    init?(argument: String) {
        guard let size = ByteSize(argument), let bytes = Int(exactly: size.bytes), Self.range.contains(bytes) else { return nil }
        bytesPerSecond = bytes
    }
}
