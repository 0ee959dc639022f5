import Crypto
import JSON

extension SignedPacket {
    /// Reads a `packet` object. Only `public_key` and `payload` count; everything is verified.
    public init(json: JSONObject) throws(ObjectError) {
        guard let publicKey = PublicKey(zBase32: try json.string("public_key")) else {
            throw ObjectError("public_key", "not a key in z-base-32")
        }
        guard let payload = bytes(base64: try json.string("payload")) else { throw ObjectError("payload", "not base64") }
        do throws(SignedPacketError) { try self.init(publicKey: publicKey, payload: payload) } catch {
            throw ObjectError("payload", error.description)
        }
    }

    /// The `packet` object.
    public var json: JSONObject {
        JSONObject(members: [
            ("public_key", .string(publicKey.zBase32)),
            ("timestamp", .integer(Int64(timestamp))),
            ("size", .integer(Int64(size))),
            ("records", records.json(zone: publicKey)),
            ("payload", .string(base64(payload))),
        ])
    }
}
