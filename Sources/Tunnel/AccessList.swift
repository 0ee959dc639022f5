import Crypto

/// The keys that may use a bridge: one a line in any form a key is written, `#` begins a comment, blank lines count for nothing.
public struct AccessList: Sendable {
    public let keys: Set<PublicKey>

    /// A line that is no key.
    public struct SyntaxError: Error, Equatable {
        /// From 1.
        public var line: Int
        /// The text that was taken for a key.
        public var text: String
    }

    /// - Throws: ``SyntaxError`` for the first line that is wrong.
    public init(parsing text: [UInt8]) throws(SyntaxError) {
        var keys: Set<PublicKey> = []
        for (index, line) in text.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != UInt8(ascii: "#") }.drop(while: Self.isBlank).reversed().drop(while: Self.isBlank).reversed()
            if content.isEmpty { continue }
            let text = String(decoding: content, as: UTF8.self)
            guard let key = PublicKey(parsing: text) else { throw SyntaxError(line: index + 1, text: text) }
            keys.insert(key)
        }
        self.keys = keys
    }

    public func allows(_ key: PublicKey) -> Bool { keys.contains(key) }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
}
