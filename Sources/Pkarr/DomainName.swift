/// A domain name (RFC 1035, section 3.1): labels of 1 to 63 bytes of any value, at most 255 bytes on the wire. Two names are equal when
/// all bytes are: case counts, as in pkarr (spec/pkarr-wire.md, 1.5).
public struct DomainName: Hashable, Sendable {
    /// Longest label, in bytes.
    public static let longestLabel = 63
    /// Longest name on the wire, with the length bytes and the root's zero.
    public static let longest = 255

    /// Uncompressed wire form: each label with its length before it, then a zero.
    public let wire: [UInt8]

    /// The root: no labels.
    public static let root = DomainName(uncheckedWire: [0])

    init(uncheckedWire wire: [UInt8]) { self.wire = wire }

    /// Nil when a label is empty or too long, or the name is.
    public init?(labels: some Collection<[UInt8]>) {
        var wire: [UInt8] = []
        for label in labels {
            guard (1...Self.longestLabel).contains(label.count) else { return nil }
            wire.append(UInt8(label.count))
            wire += label
        }
        wire.append(0)
        guard wire.count <= Self.longest else { return nil }
        self.wire = wire
    }

    /// All bytes at one go, which arrays don't do.
    public func hash(into hasher: inout Hasher) { wire.withUnsafeBytes { hasher.combine(bytes: $0) } }

    public var labels: [[UInt8]] {
        var labels: [[UInt8]] = []
        var position = 0
        while wire[position] != 0 {
            let end = position + 1 + Int(wire[position])
            labels.append(Array(wire[position + 1..<end]))
            position = end
        }
        return labels
    }

    /// The wire forms of this name and of every name it lies in, longest first, without the root.
    var suffixes: [ArraySlice<UInt8>] {
        var suffixes: [ArraySlice<UInt8>] = []
        var position = 0
        while wire[position] != 0 {
            suffixes.append(wire[position...])
            position += 1 + Int(wire[position])
        }
        return suffixes
    }
}
