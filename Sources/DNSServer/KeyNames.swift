import Crypto
import Pkarr

/// Tells which names lie in the zone of a key.
struct KeyNames {
    enum Place: Equatable {
        /// Under a key, which stands right before the suffix, the root for a plain key. The name is relative to the key.
        case key(PublicKey, name: DomainName, suffix: DomainName)
        /// Where only keys are, and this is none.
        case noKey(suffix: DomainName)
        /// A suffix itself.
        case suffix(DomainName)
        /// In the rest of DNS.
        case elsewhere
    }

    /// Folded, longest first, so that the nearest counts; the root is last.
    private let suffixes: [DomainName]
    private static let keyLength = 52

    init(suffixes: [DomainName]) {
        self.suffixes = Set(suffixes.map(\.folded)).subtracting([.root]).sorted { $0.wire.count > $1.wire.count } + [.root]
    }

    /// - Parameter name: Folded.
    func place(of name: DomainName) -> Place {
        for suffix in suffixes {
            guard let rest = name.removing(suffix: suffix) else { continue }
            guard let label = rest.lastLabel else { return suffix == .root ? .elsewhere : .suffix(suffix) }
            let text = String(decoding: label, as: UTF8.self)
            if label.count == Self.keyLength, let key = PublicKey(zBase32: text), let inside = rest.removing(suffix: DomainName(zone: key)) {
                return .key(key, name: inside, suffix: suffix)
            }
            // One letter of a key mistyped: nobody else has such a top-level domain, and nobody else needs to hear of it.
            guard suffix == .root, !Self.looksLikeKey(label) else { return .noKey(suffix: suffix) }
        }
        return .elsewhere
    }

    /// The suffix that a name stands before; the root for a plain key.
    func suffix(of name: DomainName) -> DomainName {
        let name = name.folded
        return suffixes.first { name.removing(suffix: $0) != nil } ?? .root
    }

    private static func looksLikeKey(_ label: ArraySlice<UInt8>) -> Bool {
        label.count == keyLength && label.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
    }
}
