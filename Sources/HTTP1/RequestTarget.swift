/// What a request asks for (RFC 9112, 3.2).
public enum RequestTarget: Equatable, Sendable {
    /// A path, perhaps with a query: what servers get.
    case origin(String)
    /// A whole URL without a fragment: what proxies get. The scheme is in lower case, the path begins with a slash or a question mark, or is
    /// empty.
    case absolute(scheme: String, authority: String, path: String)
    /// `HOST:PORT` of `CONNECT`.
    case authority(String)
    /// `*` of `OPTIONS`: the server itself.
    case asterisk

    init?(_ text: String, method: String) {
        guard !text.utf8.contains(UInt8(ascii: "#")) else { return nil }
        if method == "CONNECT" {
            guard Self.isAuthority(text), text.utf8.contains(UInt8(ascii: ":")) else { return nil }
            self = .authority(text)
        } else if text.utf8.first == UInt8(ascii: "/") {
            self = .origin(text)
        } else if text == "*" {
            guard method == "OPTIONS" else { return nil }
            self = .asterisk
        } else {
            let bytes = text.utf8
            guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[bytes.index(after: colon)...].starts(with: "//".utf8) else { return nil }
            let scheme = text[..<colon]
            guard let first = scheme.utf8.first, 0x61...0x7a ~= first | 0x20, scheme.utf8.allSatisfy(Self.isSchemeCharacter) else { return nil }
            let rest = text[bytes.index(colon, offsetBy: 3)...]
            let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
            guard Self.isAuthority(String(rest[..<end])) else { return nil }
            self = .absolute(scheme: scheme.lowercased(), authority: String(rest[..<end]), path: String(rest[end...]))
        }
    }

    private static func isSchemeCharacter(_ byte: UInt8) -> Bool {
        Characters.isDigit(byte) || 0x61...0x7a ~= byte | 0x20 || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    /// Whether the text may be a host, perhaps with a port (RFC 3986, 3.2.2). One with user information is none: it has fooled people and
    /// parsers (RFC 9110, 4.2.4).
    static func isAuthority(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "-._~%!$&'()*+;=[]:".utf8.contains(byte)
            }
        }
    }
}
