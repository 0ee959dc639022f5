extension PublicKey: CustomStringConvertible {
    /// z-base-32, 52 letters: the key's own name in pkarr.
    public var zBase32: String { Base32Alphabet.zBase32.encode(bytes) }
    public var description: String { zBase32 }
}

extension PublicKey {
    /// Reads exactly a z-base-32 key, nothing around it.
    public init?(zBase32 text: some StringProtocol) {
        guard text.utf8.count == 52, let bytes = Base32Alphabet.zBase32.decode(text) else { return nil }
        self.init(bytes: bytes)
    }

    /// Reads a key in any form a person may have at hand: z-base-32, `pk:KEY`, `pubkyKEY`, a `pubky://`, `http://` or `https://`
    /// URL whose host is the key or a name under it, or the 64 hexadecimal digits of an iroh endpoint id.
    public init?(parsing text: String) {
        var rest = Substring(text)
        if rest.utf8.count == 64, let bytes = decodedHexadecimal(rest) {
            self.init(bytes: bytes)
            return
        }
        if let scheme = rest.range(of: "://") {
            guard ["pubky", "http", "https", "pk"].contains(rest[..<scheme.lowerBound].lowercased()) else { return nil }
            rest = rest[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
            if let colon = rest.firstIndex(of: ":") { rest = rest[..<colon] }
            if rest.last == "." { rest.removeLast() }
            if let dot = rest.lastIndex(of: ".") { rest = rest[rest.index(after: dot)...] }
        } else if rest.hasPrefix("pk:") {
            rest = rest.dropFirst(3)
        } else if rest.utf8.count == 57, rest.hasPrefix("pubky") {
            rest = rest.dropFirst(5)
        }
        self.init(zBase32: rest)
    }
}

private func decodedHexadecimal(_ text: Substring) -> [UInt8]? { bytes(hexadecimal: text) }

extension Substring {
    fileprivate func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
