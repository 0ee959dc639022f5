import Crypto
import WebSocket

/// Why a request can't be answered as it is.
enum HTTPRequestError: Error, Equatable {
    /// Not HTTP/1 as RFC 9112 has it.
    case malformed
    case headTooLarge

    var status: Int {
        switch self {
        case .malformed: 400
        case .headTooLarge: 431
        }
    }
}

/// Request line and header fields of an HTTP/1 request (RFC 9112), as strictly as is safe behind any proxy.
struct HTTPRequestHead: Equatable {
    var method: String
    /// Without the query, not percent-decoded: all paths here are plain.
    var path: String
    var query: String
    private let fields: HTTPFields
    /// Bytes of the head with the empty line.
    private(set) var length: Int

    /// Reads a head; nil when its end has not come yet.
    init?(decoding bytes: UnsafeRawBufferPointer) throws(HTTPRequestError) {
        let limited = bytes.prefix(RelaySettings.requestHead)
        guard let end = Self.end(of: limited) else {
            if bytes.count >= RelaySettings.requestHead { throw .headTooLarge }
            return nil
        }
        length = end
        var lines = limited[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
            .map { line in line.last == UInt8(ascii: "\r") ? line.dropLast() : line }
        guard lines.allSatisfy(HTTPFields.isText), lines.count >= 1 else { throw .malformed }
        let words = lines.removeFirst().split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, HTTPFields.isToken(words[0]), words[2].elementsEqual("HTTP/1.1".utf8) || words[2].elementsEqual("HTTP/1.0".utf8),
            let target = Self.originForm(String(decoding: words[1], as: UTF8.self))
        else { throw .malformed }
        method = String(decoding: words[0], as: UTF8.self)
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts[0])
        query = parts.count == 2 ? String(parts[1]) : ""
        guard let fields = HTTPFields(decoding: lines.filter { !$0.isEmpty }) else { throw .malformed }
        self.fields = fields
        guard values("host").count == 1 || words[2].last == UInt8(ascii: "0") else { throw .malformed }
    }

    /// All values of a field, whose name is in lower case.
    func values(_ name: String) -> [String] { fields.values(name) }

    /// The one value of a field; nil when it is absent or there are several.
    func value(_ name: String) -> String? {
        let all = values(name)
        return all.count == 1 ? all[0] : nil
    }

    /// The values of a field that is a list, as one.
    func list(_ name: String) -> String { values(name).joined(separator: ",") }

    /// A parameter of the query, percent-decoded.
    func parameter(_ name: String) -> String? {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts[0] == name { return parts.count == 2 ? percentDecoded(parts[1]) : "" }
        }
        return nil
    }

    private static func end(of bytes: Slice<UnsafeRawBufferPointer>) -> Int? {
        var lineLength = 0
        // Empty lines before a request are to be ignored (RFC 9112, 2.2); nobody sends them.
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\n") {
                if lineLength == 0, index > 1 { return index + 1 }
                lineLength = 0
            } else if byte != UInt8(ascii: "\r") {
                lineLength += 1
            }
        }
        return nil
    }

    /// Path and query of a request target; an absolute one loses its authority (RFC 9112, 3.2.2).
    private static func originForm(_ target: String) -> String? {
        if target.hasPrefix("/") { return target }
        for scheme in ["http://", "https://"] where target.hasPrefix(scheme) {
            let rest = target.dropFirst(scheme.count)
            return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
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
