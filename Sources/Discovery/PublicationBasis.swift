import JSON
import Mainline
import Pkarr

/// What the author of a packet knew when it was signed. Anything later has not been merged into it, and must not be replaced by it.
public struct PublicationBasis: Equatable, Sendable {
    /// The timestamp of the newest packet of others, in microseconds since 1970; nil when none was known.
    public var previous: UInt64?
    /// Later timestamps that have been taken into account as well, such as the author's own.
    public var known: Set<UInt64>

    public init(previous: UInt64?, known: Set<UInt64> = []) {
        self.previous = previous
        self.known = known
    }

    /// Reads it from a `packet` object; nil when that does not tell.
    public init?(json: JSONObject) throws(ObjectError) {
        switch json["previous"] {
        case nil: return nil
        case .null: previous = nil
        case .integer(let number) where number >= 0: previous = UInt64(number)
        default: throw ObjectError("previous", "expected a timestamp or null")
        }
        known = []
        guard json["known"] != nil else { return }
        for (index, value) in try json.array("known").enumerated() {
            guard let number = value.integerValue, number >= 0 else { throw ObjectError("known[\(index)]", "expected a timestamp") }
            known.insert(UInt64(number))
        }
    }

    /// Whether the author knew this packet.
    public func takesIntoAccount(_ packet: SignedPacket) -> Bool {
        previous.map { packet.timestamp <= $0 } ?? false || known.contains(packet.timestamp)
    }

    /// The latest packet that it takes into account.
    var newest: UInt64? { known.max().map { max($0, previous ?? 0) } ?? previous }

    /// The same for a put in the DHT.
    var forPut: PutBasis { PutBasis(previous: previous.map { Int64(clamping: $0) }, known: Set(known.map { Int64(clamping: $0) })) }

    /// Up to which sequence nothing in the DHT is of interest to the author of a packet, that packet itself excepted.
    func floor(of packet: SignedPacket) -> Int64? {
        guard let previous, packet.timestamp > 0 else { return nil }
        return Int64(clamping: min(previous, packet.timestamp - 1))
    }
}
