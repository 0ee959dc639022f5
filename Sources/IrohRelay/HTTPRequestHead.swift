import Crypto
import HTTP1

/// The head of a request to a relay, with what the relay wants to know of it.
struct HTTPRequestHead {
    let method: String
    /// Without the query, not percent-decoded: all paths here are plain. An absolute target has lost its authority (RFC 9112, 3.2.2).
    let path: String
    let query: String
    /// Bytes of the head with the empty line.
    let length: Int
    private let fields: Fields

    /// Reads a head; nil when its end has not come yet.
    init?(decoding bytes: UnsafeRawBufferPointer) throws(MessageError) {
        var reader = HeadReader<RequestHead>(limit: RelaySettings.requestHead)
        let (count, found) = try reader.consume(bytes)
        guard let head = found else { return nil }
        length = count
        method = head.method
        fields = head.fields
        let target = switch head.form {
        case .origin(let target): target
        case .absolute(_, _, let target): target.first == "/" ? target : "/" + target
        default: ""
        }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts[0])
        query = parts.count == 2 ? String(parts[1]) : ""
    }

    /// All values of a field.
    func values(_ name: String) -> [String] { fields.values(name) }

    /// The one value of a field; nil when it is absent or there are several.
    func value(_ name: String) -> String? {
        let all = values(name)
        return all.count == 1 ? all[0] : nil
    }

    /// The values of a field that is a list, as one.
    func list(_ name: String) -> String { values(name).joined(separator: ",") }

    /// Whether a field that is a list has an element, given in lower case.
    func has(_ element: String, in name: String) -> Bool { fields.contains(element, in: name) }

    /// A parameter of the query, percent-decoded.
    func parameter(_ name: String) -> String? {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts[0] == name { return parts.count == 2 ? percentDecoded(parts[1]) : "" }
        }
        return nil
    }
}

/// Nil for a `%` without two digits behind it, and for what is no UTF-8 then.
private func percentDecoded(_ text: Substring) -> String? {
    var decoded: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%") {
            guard let value = bytes(hexadecimal: String(Substring(rest.prefix(2)))), value.count == 1 else { return nil }
            decoded += value
            rest = rest.dropFirst(2)
        } else {
            decoded.append(byte)
        }
    }
    return String(validating: decoded, as: UTF8.self)
}
