import ArgumentParser

/// Bytes a second on the command line: `65536`, `500K`, `4M`, `1G`, each a thousand times the one before.
struct ByteRateArgument: ExpressibleByArgument {
    /// Less would not let a single frame through in a second; more is no limit on any machine.
    static let range = 65_536...100_000_000_000
    var bytesPerSecond: Int

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let factors = ["": 1, "K": 1000, "M": 1_000_000, "G": 1_000_000_000]
        guard digits.count <= 12, let count = Int(digits), let factor = factors[String(argument.dropFirst(digits.count))] else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: factor)
        guard !overflow, Self.range.contains(product) else { return nil }
        bytesPerSecond = product
    }
}
