import Crypto
import JSON
import Pkarr

/// What is remembered of a key between runs, so that an old packet is never taken for news and no timestamp is used twice.
public struct Floor: Equatable, Sendable {
    /// The highest timestamp that has been seen in a packet of the key or signed for it: microseconds since 1970. It only ever rises.
    public private(set) var timestamp: UInt64
    /// The newest packet that has been seen published. Its records are not lost when the network forgets them.
    public private(set) var packet: SignedPacket?

    public static let nothing = Floor(timestamp: 0, packet: nil)

    /// A timestamp has been signed, or is about to be.
    public mutating func raise(to timestamp: UInt64) { self.timestamp = max(self.timestamp, timestamp) }

    /// A packet has been seen published. One from the future moves nothing: only a wrong clock makes such, and once the network has forgotten
    /// it, it must not stand in the way of right ones.
    ///
    /// - Parameter now: Microseconds since 1970.
    public mutating func note(_ packet: SignedPacket, now: UInt64) {
        guard packet.timestamp <= now else { return }
        raise(to: packet.timestamp)
        if self.packet.map({ packet.isMoreRecent(than: $0) }) ?? true { self.packet = packet }
    }

    private init(timestamp: UInt64, packet: SignedPacket?) {
        self.timestamp = timestamp
        self.packet = packet
    }
}

extension Floor {
    /// The largest file: a packet in base64 and some names.
    static let largestFile = 4096

    /// Reads what ``json(for:)`` gives. A packet in it is verified.
    public init(_ content: [UInt8], for key: PublicKey) throws(ObjectError) {
        let value: JSONValue
        do throws(JSONSyntaxError) { value = try JSONValue(parsing: content) } catch { throw ObjectError("", "\(error)") }
        guard let json = value.objectValue else { throw ObjectError("", "expected an object, found \(value.typeName)") }
        guard try json.string("public_key") == key.zBase32 else { throw ObjectError("public_key", "another key's") }
        guard let timestamp = json["timestamp"]?.integerValue, timestamp >= 0 else { throw ObjectError("timestamp", "no timestamp") }
        self.init(timestamp: UInt64(timestamp), packet: json["payload"] == nil ? nil : try SignedPacket(json: json))
        guard packet.map({ $0.timestamp <= self.timestamp }) ?? true else { throw ObjectError("timestamp", "below that of the packet") }
    }

    func json(for key: PublicKey) -> JSONObject {
        var object = JSONObject(members: [("public_key", .string(key.zBase32)), ("timestamp", .integer(Int64(timestamp)))])
        object["payload"] = packet?.json["payload"]
        return object
    }
}
