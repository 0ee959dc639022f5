import Crypto
import JSON

/// Records in a key's zone: the `records` object.
public struct RecordSet: Hashable, Sendable {
    /// The key whose zone the names lie in.
    public var publicKey: PublicKey
    public var records: [ResourceRecord]

    public init(publicKey: PublicKey, records: [ResourceRecord]) {
        self.publicKey = publicKey
        self.records = records
    }

    /// Reads a `records` object.
    ///
    /// - Parameter expectedKey: The key the records are for. An object that names another key in `public_key` is refused; without
    ///   this parameter it has to name one.
    public init(json: JSONObject, for expectedKey: PublicKey? = nil) throws(ObjectError) {
        if json["public_key"] == nil, let expectedKey {
            publicKey = expectedKey
        } else {
            guard let named = PublicKey(zBase32: try json.string("public_key")) else {
                throw ObjectError("public_key", "not a key in z-base-32")
            }
            guard expectedKey == nil || expectedKey == named else {
                throw ObjectError("public_key", "the records are for \(named), not for \(expectedKey!)")
            }
            publicKey = named
        }
        records = []
        for (index, value) in try json.array("records").enumerated() {
            do throws(ObjectError) {
                guard let object = value.objectValue else { throw ObjectError("", "expected an object, found \(value.typeName)") }
                records.append(try ResourceRecord(json: object, zone: publicKey))
            } catch { throw error.inside("records[\(index)]") }
        }
    }

    /// The `records` object.
    public var json: JSONObject {
        JSONObject(members: [("public_key", .string(publicKey.zBase32)), ("records", records.json(zone: publicKey))])
    }
}

extension [ResourceRecord] {
    /// The array of a `records` or `packet` object.
    func json(zone: PublicKey) -> JSONValue { .array(map { .object($0.json(zone: zone)) }) }
}
