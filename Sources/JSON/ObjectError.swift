/// What is wrong with an object that was read: where in it, and why.
public struct ObjectError: Error, Equatable, CustomStringConvertible {
    /// The way to the offending value: `records[2].ttl`; empty for the object itself.
    public var path: String
    /// Lower case, no full stop.
    public var reason: String

    public init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    public var description: String { path.isEmpty ? reason : "\(path): \(reason)" }

    /// The same error seen from the object or array that holds the value: `ttl` in `records[2]` becomes `records[2].ttl`.
    public func inside(_ outer: String) -> ObjectError { ObjectError(path.isEmpty ? outer : "\(outer).\(path)", reason) }
}

extension JSONObject {
    /// A member that has to be there.
    public func required(_ name: String) throws(ObjectError) -> JSONValue {
        guard let value = self[name] else { throw ObjectError(name, "missing") }
        return value
    }

    /// A member that has to be a string.
    public func string(_ name: String) throws(ObjectError) -> String { try required(name).string(at: name) }

    /// A member that has to be a whole number in the type's range.
    public func integer<Number: FixedWidthInteger>(_ name: String, as type: Number.Type = Number.self) throws(ObjectError) -> Number {
        try required(name).integer(at: name)
    }

    /// A member that has to be an array.
    public func array(_ name: String) throws(ObjectError) -> [JSONValue] {
        let value = try required(name)
        guard let array = value.arrayValue else { throw ObjectError(name, "expected an array, found \(value.typeName)") }
        return array
    }

    /// A member that has to be an array of strings.
    public func strings(_ name: String) throws(ObjectError) -> [String] {
        try array(name).enumerated().map { (index, value) throws(ObjectError) in try value.string(at: "\(name)[\(index)]") }
    }
}

extension JSONValue {
    /// This value, which stands at `path` and has to be a string.
    public func string(at path: String) throws(ObjectError) -> String {
        guard let string = stringValue else { throw ObjectError(path, "expected a string, found \(typeName)") }
        return string
    }

    /// This value, which stands at `path` and has to be a whole number in the type's range.
    public func integer<Number: FixedWidthInteger>(
        at path: String, as type: Number.Type = Number.self
    ) throws(ObjectError) -> Number {
        guard let integer = integerValue, let number = Number(exactly: integer) else {
            throw ObjectError(path, "expected a whole number from \(Number.min) to \(Number.max)"
                + (integerValue.map { ", found \($0)" } ?? ", found \(typeName)"))
        }
        return number
    }
}
