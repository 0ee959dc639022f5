/// A bencoded value (BEP 3).
///
/// Reading is strict about numbers and lenient about the order of dictionary keys, and keeps that order. So writing what was read
/// gives the same bytes again, which signatures (BEP 44) depend on.
public indirect enum Bencode: Equatable, Sendable {
    case integer(Int64)
    case string([UInt8])
    case list([Bencode])
    case dictionary([Entry])

    public struct Entry: Equatable, Sendable {
        public var key: [UInt8]
        public var value: Bencode

        public init(key: [UInt8], value: Bencode) {
            self.key = key
            self.value = value
        }
    }

    /// Why bytes are no bencoded value, and at which offset.
    public struct ReadError: Error, Equatable, CustomStringConvertible {
        public enum Reason: String, Sendable {
            case truncated = "the data ends inside a value"
            case unexpectedByte = "no value starts with this byte"
            case badNumber = "the number is not canonical or out of range"
            case tooDeep = "values are nested too deeply"
            case duplicateKey = "a dictionary has the same key twice"
            case trailingBytes = "bytes follow the value"
        }
        public var reason: Reason
        public var offset: Int
        public var description: String { "\(reason.rawValue) (at byte \(offset))" }
    }

    /// A KRPC message has three levels; an item's value may add some. The limit keeps recursion off the end of the stack.
    static let deepestNesting = 16

    /// Reads exactly one value from all of the bytes.
    public init(_ bytes: some Collection<UInt8>) throws(ReadError) {
        var reader = Reader(Array(bytes))
        self = try reader.value(depth: 0)
        if reader.offset != reader.bytes.count { throw ReadError(reason: .trailingBytes, offset: reader.offset) }
    }

    /// The encoded form.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    public func append(to bytes: inout [UInt8]) {
        switch self {
        case .integer(let number):
            bytes.append(UInt8(ascii: "i"))
            Bencode.append(decimal: number, to: &bytes)
            bytes.append(UInt8(ascii: "e"))
        case .string(let string): Bencode.append(string, to: &bytes)
        case .list(let elements):
            bytes.append(UInt8(ascii: "l"))
            for element in elements { element.append(to: &bytes) }
            bytes.append(UInt8(ascii: "e"))
        case .dictionary(let entries):
            bytes.append(UInt8(ascii: "d"))
            for entry in entries {
                Bencode.append(entry.key, to: &bytes)
                entry.value.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: "e"))
        }
    }

    private static func append(decimal number: Int64, to bytes: inout [UInt8]) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        let start = bytes.count
        var rest = number.magnitude
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    private static func append(_ string: [UInt8], to bytes: inout [UInt8]) {
        append(decimal: Int64(string.count), to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        bytes += string
    }
}

extension Bencode {
    /// A dictionary with its keys in the order that BEP 3 demands; members that are nil are left out.
    public static func sorted(_ members: KeyValuePairs<String, Bencode?>) -> Bencode {
        var entries: [Entry] = []
        entries.reserveCapacity(members.count)
        for (key, value) in members {
            guard let value else { continue }
            let entry = Entry(key: Array(key.utf8), value: value)
            let place = entries.lastIndex { $0.key.lexicographicallyPrecedes(entry.key) }.map { $0 + 1 } ?? 0
            entries.insert(entry, at: place)
        }
        return .dictionary(entries)
    }

    /// The member of a dictionary; nil for other values.
    public subscript(key: String) -> Bencode? {
        guard case .dictionary(let entries) = self else { return nil }
        return entries.first { $0.key.elementsEqual(key.utf8) }?.value
    }

    public var integerValue: Int64? { if case .integer(let value) = self { value } else { nil } }
    public var stringValue: [UInt8]? { if case .string(let value) = self { value } else { nil } }
    public var listValue: [Bencode]? { if case .list(let value) = self { value } else { nil } }
}

private struct Reader {
    let bytes: [UInt8]
    var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func value(depth: Int) throws(Bencode.ReadError) -> Bencode {
        if depth > Bencode.deepestNesting { throw failure(.tooDeep) }
        switch try peek() {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return .string(try string())
        case UInt8(ascii: "i"):
            offset += 1
            return .integer(try number(until: UInt8(ascii: "e")))
        case UInt8(ascii: "l"):
            offset += 1
            var elements: [Bencode] = []
            while try peek() != UInt8(ascii: "e") { elements.append(try value(depth: depth + 1)) }
            offset += 1
            return .list(elements)
        case UInt8(ascii: "d"):
            offset += 1
            return .dictionary(try entries(depth: depth))
        default: throw failure(.unexpectedByte)
        }
    }

    private mutating func entries(depth: Int) throws(Bencode.ReadError) -> [Bencode.Entry] {
        var entries: [Bencode.Entry] = []
        while try peek() != UInt8(ascii: "e") {
            let start = offset
            let key = try string()
            // A datagram holds too few keys for this to take long, and hashing them takes longer.
            for entry in entries where entry.key == key { throw Bencode.ReadError(reason: .duplicateKey, offset: start) }
            entries.append(Bencode.Entry(key: key, value: try value(depth: depth + 1)))
        }
        offset += 1
        return entries
    }

    private mutating func string() throws(Bencode.ReadError) -> [UInt8] {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(try peek()) else { throw failure(.unexpectedByte) }
        let count = try number(until: UInt8(ascii: ":"))
        guard count <= bytes.count - offset else { throw failure(.truncated) }
        defer { offset += Int(count) }
        return Array(bytes[offset..<offset + Int(count)])
    }

    /// Canonical decimal only: no leading zeros, no plus, no minus zero; within 64 bits.
    private mutating func number(until end: UInt8) throws(Bencode.ReadError) -> Int64 {
        let start = offset
        let isNegative = offset < bytes.count && bytes[offset] == UInt8(ascii: "-")
        if isNegative { offset += 1 }
        let firstDigit = offset
        // Counted below zero, where there is room for the smallest number.
        var negated: Int64 = 0
        while offset < bytes.count, bytes[offset] != end {
            let digit = Int64(bytes[offset]) - 0x30
            let (product, first) = negated.multipliedReportingOverflow(by: 10)
            let (difference, second) = product.subtractingReportingOverflow(digit)
            let hasLeadingZero = offset > firstDigit && bytes[firstDigit] == UInt8(ascii: "0")
            guard (0...9).contains(digit), !first, !second, !hasLeadingZero else { throw Bencode.ReadError(reason: .badNumber, offset: start) }
            negated = difference
            offset += 1
        }
        guard offset < bytes.count else { throw failure(.truncated) }
        guard offset > firstDigit, isNegative ? negated < 0 : negated > .min else {
            throw Bencode.ReadError(reason: .badNumber, offset: start)
        }
        offset += 1
        return isNegative ? negated : -negated
    }

    private func peek() throws(Bencode.ReadError) -> UInt8 {
        guard offset < bytes.count else { throw failure(.truncated) }
        return bytes[offset]
    }

    private func failure(_ reason: Bencode.ReadError.Reason) -> Bencode.ReadError { Bencode.ReadError(reason: reason, offset: offset) }
}
