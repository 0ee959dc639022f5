/// Header fields in the order they came in (RFC 9112, 5), whose values keep every byte.
///
/// Names are compared without regard to case. One array holds all the lines as they are sent, so that a head costs no more than that.
public struct Fields: Sendable {
    /// Fields that a message may have. Servers take about a hundred.
    public static let most = 256

    private struct Line: Sendable {
        var start: Int
        var nameEnd: Int
        var valueStart: Int
        var valueEnd: Int
    }

    private var storage: [UInt8] = []
    private var lines: [Line] = []

    public init() {}

    /// Reads lines, each with its CRLF.
    ///
    /// Refuses what one server reads so and another otherwise: folded lines, white space before the colon, control characters.
    init(parsing bytes: ArraySlice<UInt8>) throws(MessageError) {
        storage = [UInt8](bytes)
        var start = 0
        while start < storage.count {
            guard let end = storage[start...].firstIndex(of: UInt8(ascii: "\r")), end + 1 < storage.count, storage[end + 1] == UInt8(ascii: "\n")
            else { throw .malformed("a line does not end with CRLF") }
            guard lines.count < Self.most else { throw .headTooLarge }
            lines.append(try Self.line(storage, start, end))
            start = end + 2
        }
    }

    private static func line(_ bytes: [UInt8], _ start: Int, _ end: Int) throws(MessageError) -> Line {
        guard !Characters.isBlank(bytes[start]) else { throw .malformed("a line is folded") }
        guard let colon = bytes[start..<end].firstIndex(where: { !Characters.isToken($0) }), bytes[colon] == UInt8(ascii: ":"), colon > start
        else { throw .malformed("a field's name is no token with a colon right after it") }
        var valueStart = colon + 1, valueEnd = end
        while valueStart < valueEnd, Characters.isBlank(bytes[valueStart]) { valueStart += 1 }
        while valueEnd > valueStart, Characters.isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
        guard bytes[valueStart..<valueEnd].allSatisfy(Characters.isText) else { throw .malformed("a field has a control character") }
        return Line(start: start, nameEnd: colon, valueStart: valueStart, valueEnd: valueEnd)
    }

    public var count: Int { lines.count }

    /// All of them. Bytes that are no UTF-8 are shown as U+FFFD here, and sent as they came.
    public var all: [(name: String, value: String)] { lines.map { (name($0), value($0)) } }

    /// All values of a field.
    public func values(_ name: String) -> [String] { lines.lazy.filter { self.has($0, name) }.map { self.value($0) } }

    /// The first value of a field; nil when it is absent.
    public func first(_ name: String) -> String? { lines.first { has($0, name) }.map(value) }

    public func contains(_ name: String) -> Bool { lines.contains { has($0, name) } }

    /// The elements of a field that is a list, of all its lines, without parameters and in lower case (RFC 9110, 5.6.1).
    public func elements(_ name: String) -> [String] {
        values(name).flatMap { $0.split(separator: ",") }
            .map { trimmed($0.prefix { $0 != ";" }).lowercased() }.filter { !$0.isEmpty }
    }

    /// Whether a field that is a list has an element, such as `upgrade` of `Connection`; it is given in lower case.
    public func contains(_ element: String, in name: String) -> Bool { elements(name).contains(element) }

    /// Adds a field at the end. The name has to be a token, and the value to be without control characters but tabs.
    public mutating func append(_ name: String, _ value: String) {
        precondition(Characters.isToken(Array(name.utf8)) && value.utf8.allSatisfy(Characters.isText), "a field that would break the head")
        let start = storage.count
        storage += name.utf8
        storage += ": ".utf8
        let valueStart = storage.count
        storage += value.utf8
        lines.append(Line(start: start, nameEnd: start + name.utf8.count, valueStart: valueStart, valueEnd: storage.count))
        storage += "\r\n".utf8
    }

    public mutating func remove(_ name: String) {
        let bytes = storage
        lines.removeAll { Characters.equal(bytes[$0.start..<$0.nameEnd], name.utf8) }
    }

    /// Removes the fields whose name, in lower case, is such.
    public mutating func removeAll(where isSuch: (String) -> Bool) {
        let bytes = storage
        lines.removeAll { isSuch(String(decoding: bytes[$0.start..<$0.nameEnd], as: UTF8.self).lowercased()) }
    }

    /// Replaces all values of a field by one.
    public mutating func set(_ name: String, _ value: String) {
        remove(name)
        append(name, value)
    }

    /// Removes what is meant for the next hop only, what `Connection` names and `Connection` itself (RFC 9110, 7.6.1).
    ///
    /// Fields that every recipient needs stay even if they are named: who could make a proxy drop `Host` would choose whose page is
    /// served. `Transfer-Encoding` stays because bodies are passed as they are.
    public mutating func removeHopByHop() {
        let named = Set(elements("connection")).subtracting(Self.endToEnd)
        removeAll { named.contains($0) || Self.hopByHop.contains($0) }
    }

    private static let hopByHop: Set = ["connection", "proxy-connection", "keep-alive", "te", "upgrade", "http2-settings"]
    private static let endToEnd: Set = ["host", "content-length", "transfer-encoding", "authorization", "cookie", "trailer"]

    /// Appends the lines as they are sent, each with its CRLF.
    func write(to bytes: inout [UInt8]) {
        for line in lines {
            bytes += storage[line.start..<line.valueEnd]
            bytes += [0x0d, 0x0a]
        }
    }

    private func has(_ line: Line, _ name: String) -> Bool { Characters.equal(storage[line.start..<line.nameEnd], name.utf8) }
    private func name(_ line: Line) -> String { String(decoding: storage[line.start..<line.nameEnd], as: UTF8.self) }
    private func value(_ line: Line) -> String { String(decoding: storage[line.valueStart..<line.valueEnd], as: UTF8.self) }
}

extension Fields: Equatable {
    public static func == (left: Fields, right: Fields) -> Bool {
        var leftBytes: [UInt8] = [], rightBytes: [UInt8] = []
        left.write(to: &leftBytes)
        right.write(to: &rightBytes)
        return leftBytes == rightBytes
    }
}

/// Without blanks around it.
func trimmed(_ text: some StringProtocol) -> String {
    let bytes = Array(text.utf8)
    guard let start = bytes.firstIndex(where: { !Characters.isBlank($0) }), let end = bytes.lastIndex(where: { !Characters.isBlank($0) }) else { return "" }
    return String(decoding: bytes[start...end], as: UTF8.self)
}
