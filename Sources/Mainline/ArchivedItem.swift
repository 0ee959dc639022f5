import Crypto

/// Items as they are in an archive: as in a put query (BEP 44), without the token.
extension ItemStore.Item {
    var archived: [UInt8] {
        switch self {
        case .immutable(let value): return [0] + value
        case .mutable(let item):
            var bytes: [UInt8] = [1]
            bytes += item.key.bytes
            bytes += (0..<8).map { (place: Int) -> UInt8 in UInt8(truncatingIfNeeded: item.sequence >> Int64(56 - 8 * place)) }
            bytes += item.signature
            bytes.append(UInt8(item.salt.count))
            bytes += item.salt
            bytes += item.encodedValue
            return bytes
        }
    }

    /// Reads an item and checks all that was checked when it was put; nil when it is not what belongs to the target.
    init?(archived bytes: [UInt8], target: NodeID) {
        var rest = bytes[...]
        func take(_ count: Int) -> [UInt8]? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        switch rest.popFirst() {
        case 0:
            guard NodeID(hashing: Array(rest)) == target else { return nil }
            self = .immutable(Array(rest))
        case 1:
            guard let key = take(32).flatMap({ PublicKey(bytes: $0) }), let sequence = take(8), let signature = take(64),
                let saltCount = take(1), saltCount[0] <= ItemLimits.saltBytes, let salt = take(Int(saltCount[0]))
            else { return nil }
            let item = MutableItem(
                key: key, salt: salt, sequence: sequence.reduce(0) { $0 << 8 | Int64($1) }, signature: signature, encodedValue: Array(rest))
            guard item.target == target, item.sequence >= 0, ItemLimits.allows(encodedValue: item.encodedValue), item.isSignatureValid
            else { return nil }
            self = .mutable(item)
        default: return nil
        }
    }
}
