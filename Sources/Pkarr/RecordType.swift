/// The type of a resource record, by its number in the IANA registry.
public struct RecordType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let a = RecordType(rawValue: 1)
    public static let ns = RecordType(rawValue: 2)
    public static let cname = RecordType(rawValue: 5)
    public static let soa = RecordType(rawValue: 6)
    public static let txt = RecordType(rawValue: 16)
    public static let aaaa = RecordType(rawValue: 28)
    public static let svcb = RecordType(rawValue: 64)
    public static let https = RecordType(rawValue: 65)
    /// EDNS (RFC 6891): its class field holds a size.
    public static let opt = RecordType(rawValue: 41)

    private static let names: [(RecordType, String)] = [
        (.a, "A"), (.ns, "NS"), (.cname, "CNAME"), (.txt, "TXT"), (.aaaa, "AAAA"), (.svcb, "SVCB"), (.https, "HTTPS"),
    ]

    /// The name of a type that has a readable form here; nil for all others.
    public var name: String? { Self.names.first { $0.0 == self }?.1 }

    /// The type with a readable form of this name.
    public init?(name: String) {
        guard let entry = Self.names.first(where: { $0.1 == name }) else { return nil }
        self = entry.0
    }
}
