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
    /// Bytes of the name of a key's zone: the letters, their number before them, and the root.
    private static let zoneLength = 1 + 52 + 1
    /// Keys that were asked for lately: whether a text is a key takes arithmetic on the curve, more than all else of an answer.
    private var known: [DomainName: PublicKey] = [:]
    private static let mostKnown = 4096

    init(suffixes: [DomainName]) {
        self.suffixes = Set(suffixes.map(\.folded)).subtracting([.root]).sorted { $0.wire.count > $1.wire.count } + [.root]
    }

    /// - Parameter name: Folded.
    mutating func place(of name: DomainName) -> Place {
        for suffix in suffixes {
            guard let rest = name.removing(suffix: suffix) else { continue }
            guard let zone = rest.topLevel else { return suffix == .root ? .elsewhere : .suffix(suffix) }
            if let key = key(zone) { return .key(key, name: rest.removing(suffix: zone)!, suffix: suffix) }
            // One letter of a key mistyped: nobody else has such a top-level domain, and nobody else needs to hear of it.
            guard suffix == .root, !Self.looksLikeKey(zone) else { return .noKey(suffix: suffix) }
        }
        return .elsewhere
    }

    /// The suffix that a name stands before; the root for a plain key.
    func suffix(of name: DomainName) -> DomainName {
        let name = name.folded
        return suffixes.first { name.removing(suffix: $0) != nil } ?? .root
    }

    private mutating func key(_ zone: DomainName) -> PublicKey? {
        guard zone.wire.count == Self.zoneLength else { return nil }
        if let key = known[zone] { return key }
        guard let key = PublicKey(zBase32: String(decoding: zone.wire.dropFirst().dropLast(), as: UTF8.self)) else { return nil }
        if known.count >= Self.mostKnown { known = [:] }
        known[zone] = key
        return key
    }

    private static func looksLikeKey(_ zone: DomainName) -> Bool {
        zone.wire.count == zoneLength
            && zone.wire.dropFirst().dropLast().allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
    }
}
