/// A number of bytes as people write it: `4096`, `64K`, `256M`, `2G`, `1T`, in powers of 1024, above 0.
public struct ByteSize: Hashable, Sendable {
    public var bytes: Int64

    /// Nil for other text, and for more than 2^63 - 1 bytes.
    public init?(_ text: some StringProtocol) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits), count > 0, let shift = ["": 0, "K": 10, "M": 20, "G": 30, "T": 40][String(text.dropFirst(digits.count))],
            count <= Int64.max >> shift
        else { return nil }
        bytes = count << shift
    }
}
