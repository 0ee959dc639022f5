import Crypto

/// A host name that is a key: a homeserver's own, or `_pubky.` and the key of a user, whose homeserver is meant
/// (spec/pkarr-wire.md, 4.2).
public struct KeyedHost: Hashable, Sendable {
    public let key: PublicKey
    /// Whether the key is a user's. Its `_pubky` record names the homeserver.
    public let isUser: Bool

    static let userLabel = "_pubky"

    public init(_ key: PublicKey, isUser: Bool = false) {
        self.key = key
        self.isUser = isUser
    }

    /// Reads a host without a port; nil for every name that is no key. Case does not count (RFC 9110, 4.2.3), nor does one final dot.
    public init?(_ host: some StringProtocol) {
        // No longer name can be one, and whoever gave it may have given megabytes.
        guard host.utf8.count <= 64 else { return nil }
        var rest = Substring(host.lowercased())
        if rest.last == "." { rest.removeLast() }
        let prefix = "\(Self.userLabel)."
        let isUser = rest.hasPrefix(prefix)
        if isUser { rest.removeFirst(prefix.count) }
        guard let key = PublicKey(zBase32: rest) else { return nil }
        self.init(key, isUser: isUser)
    }

    /// The host name, in lower case and without a final dot.
    public var name: String { isUser ? "\(Self.userLabel).\(key.zBase32)" : key.zBase32 }
}

extension KeyedHost: CustomStringConvertible {
    public var description: String { name }
}
