/// Header fields of an HTTP/1 request or response (RFC 9112, 5), as strictly as is safe behind any proxy.
public struct HTTPFields: Equatable, Sendable {
    public struct Field: Equatable, Sendable {
        /// In lower case.
        public var name: String
        public var value: String
    }

    public private(set) var fields: [Field] = []

    /// Reads fields, one a line without its end; nil when one is malformed.
    public init?<Line: BidirectionalCollection<UInt8>>(decoding lines: some Sequence<Line>) {
        for line in lines {
            // A folded line begins with white space, and white space before the colon has fooled proxies.
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), Self.isToken(line[..<colon]) else { return nil }
            let value = line[line.index(after: colon)...].drop(while: Self.isBlank).reversed().drop(while: Self.isBlank).reversed()
            fields.append(Field(name: String(decoding: line[..<colon], as: UTF8.self).lowercased(), value: String(decoding: value, as: UTF8.self)))
        }
    }

    /// All values of a field, whose name is in lower case.
    public func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// Whether the bytes are a token (RFC 9110, 5.6.2), as names and methods are.
    public static func isToken(_ bytes: some Collection<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
    }

    /// Whether a line of a head has no control characters but tabs.
    public static func isText(_ line: some Collection<UInt8>) -> Bool { line.allSatisfy { $0 == 9 || $0 >= 0x20 && $0 != 0x7f } }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
