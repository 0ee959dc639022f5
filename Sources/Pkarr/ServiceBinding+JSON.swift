import Crypto
import JSON
import Platform

extension ServiceBinding {
    /// The `params` of a record: by name in readable form where that form gives back the same bytes, else by number in hexadecimal.
    var parametersJSON: JSONObject {
        JSONObject(members: parameters.sorted { $0.key < $1.key }.map { key, value in
            if let parameter = ServiceParameter(rawValue: key), let json = parameter.json(value),
                (try? parameter.value(json: json)) == value
            {
                return (name: parameter.name, value: json)
            }
            return (name: String(key), value: .string(ByteText.hexadecimalText(value)))
        })
    }

    /// Reads `params`; none at all are the same as empty ones.
    static func parameters(json: JSONValue?) throws(ObjectError) -> [UInt16: [UInt8]] {
        guard let json else { return [:] }
        guard let object = json.objectValue else { throw ObjectError("params", "expected an object, found \(json.typeName)") }
        var parameters: [UInt16: [UInt8]] = [:]
        for (name, json) in object.members {
            let path = "params.\(name)"
            let key: UInt16
            let value: [UInt8]
            do throws(ObjectError) {
                if let parameter = ServiceParameter(name: name) {
                    key = parameter.rawValue
                    value = try parameter.value(json: json)
                } else {
                    key = try parameterKey(number: name)
                    value = try hexadecimalValue(json)
                }
            } catch { throw error.inside(path) }
            guard value.count <= UInt16.max else { throw ObjectError(path, "longer than \(UInt16.max) bytes") }
            guard ServiceParameter.isWellFormed(value, key: key) else { throw ObjectError(path, "malformed value") }
            guard parameters.updateValue(value, forKey: key) == nil else { throw ObjectError(path, "given twice") }
        }
        return parameters
    }

    static func parameterKey(number text: String) throws(ObjectError) -> UInt16 {
        guard let key = UInt16(text), String(key) == text else {
            throw ObjectError("", "unknown parameter; write its number")
        }
        return key
    }

    private static func hexadecimalValue(_ json: JSONValue) throws(ObjectError) -> [UInt8] {
        let text = try json.string(at: "")
        guard text.utf8.starts(with: "hex:".utf8), let value = ByteText.bytes(text) else {
            throw ObjectError("", "expected \"hex:\" and hexadecimal digits")
        }
        return value
    }
}

extension ServiceParameter {
    /// The readable form of a value; nil if it has none.
    func json(_ value: [UInt8]) -> JSONValue? {
        switch self {
        case .mandatory:
            return .array(stride(from: 0, to: value.count - 1, by: 2).map {
                let key = UInt16(value[$0]) << 8 | UInt16(value[$0 + 1])
                return .string(ServiceParameter(rawValue: key)?.name ?? String(key))
            })
        case .alpn: return RecordData.characterStrings(value).map { .array($0.map { .string(ByteText.text($0)) }) }
        case .noDefaultALPN: return true
        case .port: return value.count == 2 ? .integer(Int64(value[0]) << 8 | Int64(value[1])) : nil
        case .ech: return .string(base64(value))
        case .ipv4hint, .ipv6hint:
            let size = self == .ipv4hint ? 4 : 16
            return .array(stride(from: 0, to: value.count - size + 1, by: size).compactMap {
                IPAddress(bytes: value[$0..<$0 + size]).map { .string($0.description) }
            })
        }
    }

    /// Reads a value's readable form. Paths in errors start after the parameter's name.
    func value(json: JSONValue) throws(ObjectError) -> [UInt8] {
        switch self {
        case .mandatory:
            var keys: [UInt16] = []
            for name in try elements(json) {
                if let parameter = ServiceParameter(name: name) {
                    keys.append(parameter.rawValue)
                } else {
                    keys.append(try ServiceBinding.parameterKey(number: name))
                }
            }
            return keys.sorted().flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
        case .alpn:
            var value: [UInt8] = []
            for text in try elements(json) {
                guard let name = ByteText.bytes(text), (1...255).contains(name.count) else {
                    throw ObjectError("", "a protocol name has 1 to 255 bytes")
                }
                value += [UInt8(name.count)] + name
            }
            return value
        case .noDefaultALPN:
            guard json.boolValue == true else { throw ObjectError("", "can only be true") }
            return []
        case .port:
            let port: UInt16 = try json.integer(at: "")
            return [UInt8(port >> 8), UInt8(port & 255)]
        case .ech:
            guard let value = bytes(base64: try json.string(at: "")) else { throw ObjectError("", "not base64") }
            return value
        case .ipv4hint, .ipv6hint:
            var value: [UInt8] = []
            for text in try elements(json) {
                guard let address = IPAddress(text), address.isV6 == (self == .ipv6hint) else {
                    throw ObjectError("", "\(text) is no \(self == .ipv6hint ? "IPv6" : "IPv4") address")
                }
                value += address.bytes
            }
            return value
        }
    }

    /// The strings of a list, which can't be empty (RFC 9460, appendix A.1).
    private func elements(_ json: JSONValue) throws(ObjectError) -> [String] {
        guard let array = json.arrayValue, !array.isEmpty else { throw ObjectError("", "expected an array of at least one string") }
        return try array.map { value throws(ObjectError) in try value.string(at: "") }
    }
}
