import Platform

/// The URL of an iroh relay, in the form in which the WHATWG serializer, and so iroh, prints it.
public struct RelayURL: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// Reads an `http` or `https` URL of printable ASCII without user or fragment; nil for anything else. Scheme and host become lower
    /// case, the scheme's own port is dropped, an empty path becomes `/`.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), !text.contains(where: { #"@#\"<>^`{|}"#.contains($0) }) else { return nil }
        let (scheme, defaultPort, rest): (String, String, Substring)
        let lowered = text.lowercased()
        if lowered.hasPrefix("https://") {
            (scheme, defaultPort, rest) = ("https", "443", Substring(text.dropFirst(8)))
        } else if lowered.hasPrefix("http://") {
            (scheme, defaultPort, rest) = ("http", "80", Substring(text.dropFirst(7)))
        } else {
            return nil
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard let (host, port) = Self.hostAndPort(authority) else { return nil }
        let path = rest[authority.endIndex...]
        description = "\(scheme)://\(host.lowercased())\(port.isEmpty || port == defaultPort ? "" : ":\(port)")"
            + (path.first == "/" ? "" : "/") + path
    }

    /// Host and port as they stand in the URL and in the `Host` of a request, without the scheme's own port.
    public var authority: String { String(description.drop { $0 != "/" }.dropFirst(2).prefix { $0 != "/" }) }

    private static func hostAndPort(_ authority: Substring) -> (Substring, String)? {
        var host = authority
        var port = ""
        let bracket = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority[bracket...].firstIndex(of: ":") {
            host = authority[..<colon]
            let digits = authority[authority.index(after: colon)...]
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            if !digits.isEmpty {
                guard digits.count <= 5, let number = UInt16(digits) else { return nil }
                port = String(number)
            }
        }
        if host.first == "[" {
            guard host.last == "]", let ip = IPAddress(host.dropFirst().dropLast()), ip.isV6 else { return nil }
        } else {
            guard !host.isEmpty, host.utf8.allSatisfy(isHostCharacter) else { return nil }
        }
        return (host, port)
    }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
        default: false
        }
    }
}
