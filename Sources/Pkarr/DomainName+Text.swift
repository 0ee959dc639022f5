import Crypto

/// Why a text is no domain name.
public enum NameTextError: Error, Equatable, CustomStringConvertible {
    /// Two dots in a row, or one at the start.
    case emptyLabel
    case labelTooLong
    case nameTooLong
    /// A backslash is followed by neither a printable character nor three digits up to 255.
    case badEscape
    /// A character that has to be escaped.
    case needsEscape(UInt8)

    public var description: String {
        switch self {
        case .emptyLabel: "the name has an empty label"
        case .labelTooLong: "a label of the name has more than \(DomainName.longestLabel) bytes"
        case .nameTooLong: "the name has more than \(DomainName.longest) bytes"
        case .badEscape: "in a name, a backslash needs a printable character or three digits (000 to 255) after it"
        case .needsEscape(let byte):
            "a name can't hold " + (DomainName.isPrintable(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)")
                + " as it is; write \(DomainName.escaped(byte))"
        }
    }
}

// The text form is that of master files (RFC 1035, section 5.1): `\.` for a character that means something, `\ddd` for any byte.
extension DomainName {
    /// Reads a name as it stands in record data: never relative to anything; a final dot may be left out, `.` is the root.
    public init(target text: some StringProtocol) throws(NameTextError) {
        var labels = try Self.labels(of: text)
        if labels.last == .empty { labels.removeLast() }
        if labels == [.empty] { labels = [] }
        try self.init(checking: labels)
    }

    /// Reads the name of a record in a key's zone, normalised as pkarr does it (spec/pkarr-wire.md, 1.5): relative to the key unless the
    /// key is its last label; one final dot is dropped; an empty last label and `@` stand for the key itself.
    public init(owner text: some StringProtocol, in zone: PublicKey) throws(NameTextError) {
        let origin = Array(zone.zBase32.utf8)
        var labels = try Self.labels(of: text)
        if labels.count > 1, labels.last == .empty { labels.removeLast() }
        switch labels.last {
        case .empty, .at: labels = [.bytes(origin)]
        case .bytes(origin): break
        default: labels.append(.bytes(origin))
        }
        try self.init(checking: labels)
    }

    /// The zone of a key: its z-base-32 form as the only label.
    public init(zone key: PublicKey) {
        let label = Array(key.zBase32.utf8)
        self.init(uncheckedWire: [UInt8(label.count)] + label + [0])
    }

    /// The name as it stands in record data: complete, without a final dot; the root is `.`.
    public var targetText: String { self == .root ? "." : Self.text(labels) }

    /// The name of a record in a key's zone, which ``init(owner:in:)`` reads back: relative to the key, `@` for the key itself. A name
    /// outside the zone is complete and has a final dot; such a name can't be read back.
    public func ownerText(in zone: PublicKey) -> String {
        var labels = labels
        let origin = Array(zone.zBase32.utf8)
        guard labels.last == origin else { return self == .root ? "." : Self.text(labels) + "." }
        if labels.count == 1 { return "@" }
        // Cut short, a name under the key whose next label is the key again would read as another name.
        if labels[labels.count - 2] != origin { labels.removeLast() }
        return Self.text(labels)
    }

    private enum Label: Equatable {
        case empty
        /// `@` without an escape.
        case at
        case bytes([UInt8])
    }

    private init(checking labels: [Label]) throws(NameTextError) {
        var plain: [[UInt8]] = []
        for label in labels {
            switch label {
            case .empty: throw .emptyLabel
            case .at: throw .needsEscape(UInt8(ascii: "@"))
            case .bytes(let bytes):
                guard bytes.count <= Self.longestLabel else { throw .labelTooLong }
                plain.append(bytes)
            }
        }
        guard let name = DomainName(labels: plain) else { throw .nameTooLong }
        self = name
    }

    /// Cuts the text at its dots; at least one label.
    private static func labels(of text: some StringProtocol) throws(NameTextError) -> [Label] {
        var labels: [Label] = []
        var label: [UInt8] = []
        var hasAt = false
        func finished() throws(NameTextError) -> Label {
            if label.isEmpty { return .empty }
            guard hasAt else { return .bytes(label) }
            guard label.count == 1 else { throw .needsEscape(UInt8(ascii: "@")) }
            return .at
        }
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "."):
                labels.append(try finished())
                label = []
                hasAt = false
            case UInt8(ascii: "\\"): label.append(try escapedByte(&rest))
            case UInt8(ascii: "@"):
                hasAt = true
                label.append(byte)
            default:
                guard isPrintable(byte), !specials.contains(byte) else { throw .needsEscape(byte) }
                label.append(byte)
            }
        }
        return labels + [try finished()]
    }

    private static func escapedByte(_ rest: inout ArraySlice<UInt8>) throws(NameTextError) -> UInt8 {
        guard let first = rest.first, isPrintable(first) else { throw .badEscape }
        guard isDigit(first) else {
            rest = rest.dropFirst()
            return first
        }
        let digits = rest.prefix(3)
        guard digits.count == 3, digits.allSatisfy(isDigit), let value = UInt8(String(decoding: digits, as: UTF8.self)) else {
            throw .badEscape
        }
        rest.removeFirst(3)
        return value
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Printable ASCII without the space.
    fileprivate static func isPrintable(_ byte: UInt8) -> Bool { (0x21...0x7e).contains(byte) }

    /// What means something in a master file.
    private static let specials = Array(#".\"();@$"#.utf8)

    fileprivate static func escaped(_ byte: UInt8) -> String {
        if isPrintable(byte) { return "\\\(Character(Unicode.Scalar(byte)))" }
        let digits = String(byte)
        return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }

    private static func text(_ labels: [[UInt8]]) -> String {
        labels.map { label in
            label.map { byte in
                isPrintable(byte) && !specials.contains(byte) ? String(Character(Unicode.Scalar(byte))) : escaped(byte)
            }.joined()
        }.joined(separator: ".")
    }
}
