import Crypto
import JSON
import Platform

extension ResourceRecord {
    /// Reads a record of a `records` object; its name is relative to the key.
    public init(json: JSONObject, zone: PublicKey) throws(ObjectError) {
        let nameText = try json.string("name")
        do throws(NameTextError) { name = try DomainName(owner: nameText, in: zone) } catch {
            throw ObjectError("name", error.description)
        }
        type = try Self.type(json)
        classField = try Self.classField(json, type)
        timeToLive = try json.integer("ttl")
        rdata = []
        if let hexadecimal = json["rdata_hex"] {
            guard let raw = bytes(hexadecimal: try hexadecimal.string(at: "rdata_hex")), raw.count <= UInt16.max else {
                throw ObjectError("rdata_hex", "not the hexadecimal form of at most \(UInt16.max) bytes")
            }
            rdata = raw
            // Written and read again it has to be the same, else it is malformed for its type.
            guard (try? DNSMessage(wire: DNSMessage(answers: [self]).wire))?.answers == [self] else {
                throw ObjectError("rdata_hex", "malformed data for type \(type.name ?? "\(type.rawValue)")")
            }
        } else {
            rdata = try RecordData(json: json, type: type).rdata
        }
    }

    private static func type(_ json: JSONObject) throws(ObjectError) -> RecordType {
        let value = try json.required("type")
        guard let name = value.stringValue else { return RecordType(rawValue: try value.integer(at: "type")) }
        guard let type = RecordType(name: name) else {
            throw ObjectError("type", "unknown type \(name); give it as a number, with rdata_hex")
        }
        return type
    }

    /// For OPT the field is no class but a size in bytes (RFC 6891, 6.1.2): any number, and no flag.
    private static func classField(_ json: JSONObject, _ type: RecordType) throws(ObjectError) -> UInt16 {
        let classNumber = try json["class"]?.integer(at: "class", as: UInt16.self) ?? internetClass
        if type == .opt { return classNumber }
        guard DNSReader.classes.contains(classNumber) else { throw ObjectError("class", "unknown class \(classNumber)") }
        guard let flush = json["cache_flush"] else { return classNumber }
        guard let flush = flush.boolValue else { throw ObjectError("cache_flush", "expected a boolean, found \(flush.typeName)") }
        return flush ? classNumber | cacheFlushBit : classNumber
    }

    /// The record as it stands in a `records` or `packet` object; its name is relative to the key.
    public func json(zone: PublicKey) -> JSONObject {
        var object = JSONObject(members: [
            ("name", .string(name.ownerText(in: zone))),
            ("type", type.name.map(JSONValue.string) ?? .integer(Int64(type.rawValue))),
            ("ttl", .integer(Int64(timeToLive))),
        ])
        let shown = type == .opt ? classField : classField & ~Self.cacheFlushBit
        if shown != Self.internetClass { object["class"] = .integer(Int64(shown)) }
        if shown != classField { object["cache_flush"] = true }
        for (name, value) in data.members { object[name] = value }
        return object
    }
}

extension RecordData {
    /// The members that say what the data is.
    fileprivate var members: [(String, JSONValue)] {
        switch self {
        case .address(let address): [("address", .string(address.description))]
        case .name(let name): [("target", .string(name.targetText))]
        case .strings(let strings): [("strings", .array(strings.map { .string(ByteText.text($0)) }))]
        case .service(let service):
            [
                ("priority", .integer(Int64(service.priority))), ("target", .string(service.target.targetText)),
                ("params", .object(service.parametersJSON)),
            ]
        case .other(let bytes): [("rdata_hex", .string(hexadecimal(bytes)))]
        }
    }

    fileprivate init(json: JSONObject, type: RecordType) throws(ObjectError) {
        switch type {
        case .a, .aaaa:
            guard let address = IPAddress(try json.string("address")), address.isV6 == (type == .aaaa) else {
                throw ObjectError("address", "not an \(type == .aaaa ? "IPv6" : "IPv4") address")
            }
            self = .address(address)
        case .ns, .cname: self = .name(try DomainName(json: json, member: "target"))
        case .txt:
            var strings: [[UInt8]] = []
            for (index, text) in try json.strings("strings").enumerated() {
                guard let string = ByteText.bytes(text) else { throw ObjectError("strings[\(index)]", "malformed hexadecimal") }
                guard string.count <= 255 else {
                    throw ObjectError("strings[\(index)]", "\(string.count) bytes, at most 255 are allowed; split it")
                }
                strings.append(string)
            }
            self = .strings(strings)
        case .svcb, .https:
            self = .service(ServiceBinding(
                priority: try json.integer("priority"), target: try DomainName(json: json, member: "target"),
                parameters: try ServiceBinding.parameters(json: json["params"])))
        default: throw ObjectError("rdata_hex", "missing; types without a readable form need it")
        }
    }
}

extension DomainName {
    fileprivate init(json: JSONObject, member: String) throws(ObjectError) {
        let text = try json.string(member)
        do throws(NameTextError) { try self.init(target: text) } catch { throw ObjectError(member, error.description) }
    }
}
