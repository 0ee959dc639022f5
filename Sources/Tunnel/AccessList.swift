import Crypto

/// The keys that may use a bridge and what each may do, in the manner of sshd's authorized_keys: a key in any form a key is written, or `*`
/// for all others, and options behind it (tunnel-bridge(1), "Access lists"). `#` begins a comment.
public struct AccessList: Equatable, Sendable {
    public private(set) var rules: [PublicKey: AccessRule] = [:]
    /// For whoever is not named; nil lets nobody else in.
    public private(set) var others: AccessRule?

    /// A line that is wrong.
    public struct SyntaxError: Error, Equatable {
        /// From 1.
        public var line: Int
        /// What is wrong, as a sentence.
        public var reason: String
    }

    /// - Throws: ``SyntaxError`` for the first line that is wrong.
    public init(parsing text: [UInt8]) throws(SyntaxError) {
        for (index, line) in text.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
            do throws(AccessRule.Mistake) { try take(String(decoding: line, as: UTF8.self)) } catch {
                throw SyntaxError(line: index + 1, reason: error.text)
            }
        }
    }

    /// What the key may do; nil if it is not let in.
    public func rule(for key: PublicKey) -> AccessRule? { rules[key] ?? others }

    private mutating func take(_ line: String) throws(AccessRule.Mistake) {
        var words = try Self.words(of: line)[...]
        guard let name = words.popFirst() else { return }
        var options: [(Substring, Substring)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "=") else { throw AccessRule.Mistake("\"\(word)\" is no NAME=VALUE") }
            options.append((word[..<equals], word[word.index(after: equals)...]))
        }
        if name == "*" {
            guard others == nil else { throw AccessRule.Mistake("* is there twice") }
            others = try AccessRule(parsing: options)
        } else {
            guard let key = PublicKey(parsing: name) else { throw AccessRule.Mistake("\"\(name)\" is no key") }
            guard rules[key] == nil else { throw AccessRule.Mistake("the key is there twice") }
            rules[key] = try AccessRule(parsing: options)
        }
    }

    /// The words of a line, without quotation marks and up to a comment.
    private static func words(of line: String) throws(AccessRule.Mistake) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for scalar in line.unicodeScalars {
            switch scalar {
            case "\"": (isQuoted, word) = (!isQuoted, word ?? "")
            case _ where isQuoted: word?.unicodeScalars.append(scalar)
            case "#": return words + (word.map { [$0] } ?? [])
            case " ", "\t", "\r":
                if let word { words.append(word) }
                word = nil
            default: word = (word ?? "") + String(scalar)
            }
        }
        guard !isQuoted else { throw AccessRule.Mistake("a quotation mark is missing") }
        return words + (word.map { [$0] } ?? [])
    }
}
