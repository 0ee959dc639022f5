/// Files that hold the token for a relay: one word.
public enum TokenFile {
    /// Reads a token.
    ///
    /// - Throws: ``CommandError``: status 77 when the file can't be read or others can read it, 78 when it is missing or holds no token.
    public static func read(_ path: String) throws(CommandError) -> String {
        let word = SecretFile.trimmed(try SecretFile.read(path, kind: "token file"))
        // What a header may carry (RFC 6750, 2.1, leaves no white space).
        guard !word.isEmpty, word.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw CommandError(.configuration, "token file \(printable(path)) does not hold one word of printable ASCII")
        }
        return String(decoding: word, as: UTF8.self)
    }
}
