import Crypto
import Iroh

/// Who may use a relay: keys that may, keys that may not, and tokens for whoever shows one.
///
/// Without keys and tokens that may, everybody may who is not denied.
public struct RelayAccess: Sendable {
    /// A line that can't be read.
    public struct SyntaxError: Error, Equatable {
        /// From 1.
        public var line: Int
        /// Why.
        public var reason: String
    }

    private var allowed: Set<EndpointID> = []
    private var denied: Set<EndpointID> = []
    private var tokens: [[UInt8]] = []

    /// Everybody may.
    public init() {}

    /// Reads `KEY`, `deny KEY` and `token WORD`, one a line; `#` begins a comment.
    public init(parsing text: [UInt8]) throws(SyntaxError) {
        for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != UInt8(ascii: "#") }.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
                .map { String(decoding: $0, as: UTF8.self) }
            switch (words.first, words.count) {
            case (nil, _): continue
            case ("token", 2):
                guard words[1].utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                    throw SyntaxError(line: index + 1, reason: "a token is a word of printable ASCII")
                }
                tokens.append(Array(words[1].utf8))
            case ("deny", 2): denied.insert(try Self.id(words[1], line: index + 1))
            case (let word?, 1): allowed.insert(try Self.id(word, line: index + 1))
            default: throw SyntaxError(line: index + 1, reason: "neither KEY, nor deny KEY, nor token WORD")
            }
        }
    }

    private static func id(_ text: String, line: Int) throws(SyntaxError) -> EndpointID {
        guard let key = PublicKey(parsing: text) else { throw SyntaxError(line: line, reason: "not a key: \(text)") }
        return EndpointID(key)
    }

    /// Whether the file with this list has to be kept from others.
    public var isSecret: Bool { !tokens.isEmpty }

    /// Why a client may not, in words for it; nil when it may. The client has proved to hold the id's key.
    func refusal(_ id: EndpointID, token: String?) -> String? {
        if denied.contains(id) { return "not authorized: this key is denied" }
        if allowed.isEmpty && tokens.isEmpty || allowed.contains(id) { return nil }
        if tokens.isEmpty { return "not authorized: this key is not on the relay's list" }
        guard let token else { return "not authorized: this relay asks for a token" }
        return isValid(Array(token.utf8)) ? nil : "not authorized: the token is not valid"
    }

    /// How long it takes tells nothing of the tokens but their lengths.
    private func isValid(_ given: [UInt8]) -> Bool {
        var found = false
        for token in tokens where token.count == given.count {
            found = zip(token, given).reduce(UInt8(0)) { $0 | $1.0 ^ $1.1 } == 0 || found
        }
        return found
    }
}
