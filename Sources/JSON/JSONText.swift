import CJansson

/// Why a text is no JSON.
public struct JSONSyntaxError: Error, Equatable, CustomStringConvertible {
    /// Line and column of the offending byte, both from 1.
    public var line: Int
    public var column: Int
    public var reason: String

    public var description: String { "line \(line), column \(column): \(reason)" }
}

extension JSONValue {
    /// Parses one JSON text. Duplicate member names are refused: two readers could understand them differently.
    ///
    /// - Throws: ``JSONSyntaxError``
    public init(parsing bytes: some Collection<UInt8>) throws(JSONSyntaxError) {
        let contiguous = ContiguousArray(bytes)
        var error = json_error_t()
        let root = contiguous.withUnsafeBytes { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                json_loadb($0.baseAddress, $0.count, size_t(JSON_REJECT_DUPLICATES | JSON_DECODE_ANY), &error)
            }
        }
        guard let root else {
            let reason = withUnsafeBytes(of: &error.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw JSONSyntaxError(line: max(1, Int(error.line)), column: max(1, Int(error.column)), reason: reason)
        }
        defer { keyhole_json_decref(root) }
        self.init(jansson: root)
    }

    /// Parses one JSON text.
    ///
    /// - Throws: ``JSONSyntaxError``
    public init(parsing text: String) throws(JSONSyntaxError) { try self.init(parsing: text.utf8) }

    private init(jansson value: UnsafeMutablePointer<json_t>) {
        switch value.pointee.type {
        case JSON_OBJECT:
            var members: [(name: String, value: JSONValue)] = []
            var iterator = json_object_iter(value)
            while let position = iterator {
                members.append((String(cString: json_object_iter_key(position)),
                                JSONValue(jansson: json_object_iter_value(position))))
                iterator = json_object_iter_next(value, position)
            }
            self = .object(JSONObject(members: members))
        case JSON_ARRAY:
            self = .array((0..<json_array_size(value)).map { JSONValue(jansson: json_array_get(value, $0)) })
        case JSON_STRING:
            let bytes = UnsafeRawBufferPointer(start: json_string_value(value), count: json_string_length(value))
            self = .string(String(decoding: bytes, as: UTF8.self))
        case JSON_INTEGER: self = .integer(Int64(json_integer_value(value)))
        case JSON_REAL: self = .real(json_real_value(value))
        case JSON_TRUE: self = .bool(true)
        case JSON_FALSE: self = .bool(false)
        default: self = .null
        }
    }

    /// The value as compact JSON on one line, without a final newline.
    public var text: String {
        let root = janssonValue()
        defer { keyhole_json_decref(root) }
        let characters = json_dumps(root, size_t(JSON_COMPACT | JSON_ENCODE_ANY) | keyhole_json_precision())!
        defer { keyhole_json_free(characters) }
        return String(cString: characters)
    }

    private func janssonValue() -> UnsafeMutablePointer<json_t> {
        switch self {
        case .null: return json_null()
        case .bool(let value): return value ? json_true() : json_false()
        case .integer(let value): return json_integer(json_int_t(value))
        case .real(let value): return json_real(value)
        case .string(let value):
            var value = value
            return value.withUTF8 { buffer in
                buffer.withMemoryRebound(to: CChar.self) { json_stringn_nocheck($0.baseAddress ?? keyhole_json_empty(), $0.count) }
            }
        case .array(let elements):
            let array = json_array()!
            for element in elements { json_array_append_new(array, element.janssonValue()) }
            return array
        case .object(let object):
            let result = json_object()!
            for (name, value) in object.members { json_object_set_new_nocheck(result, name, value.janssonValue()) }
            return result
        }
    }
}
