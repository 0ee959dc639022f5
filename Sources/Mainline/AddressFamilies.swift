import Platform

/// Which of the two networks nodes are wanted from: IPv4's, IPv6's or both (BEP 32, `want`).
public struct AddressFamilies: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let v4 = AddressFamilies(rawValue: 1)
    public static let v6 = AddressFamilies(rawValue: 2)

    init(of ip: IPAddress) { self = ip.isV6 ? .v6 : .v4 }

    private static let names: [(AddressFamilies, String)] = [(.v4, "n4"), (.v6, "n6")]

    /// The list in a query; nil where there is none. Words that are not known are left out.
    init?(_ list: Bencode?) {
        guard let words = list?.listValue else { return nil }
        self = []
        for (family, name) in Self.names where words.contains(.string(Array(name.utf8))) { insert(family) }
    }

    var bencode: Bencode { .list(Self.names.filter { contains($0.0) }.map { .string(Array($0.1.utf8)) }) }
}
