/// Frames of QUIC (RFC 9000, section 19), as far as a hostile client writes and reads them.
enum Frame {
    static func variable(_ value: UInt64) -> [UInt8] {
        let (length, mark): (Int, UInt8) = value < 1 << 6 ? (1, 0) : value < 1 << 14 ? (2, 0x40) : value < 1 << 30 ? (4, 0x80) : (8, 0xc0)
        var bytes = (0..<length).map { UInt8(truncatingIfNeeded: value >> (8 * (length - 1 - $0))) }
        bytes[0] |= mark
        return bytes
    }

    static func of(_ type: UInt64, _ fields: UInt64...) -> [UInt8] { fields.reduce(variable(type)) { $0 + variable($1) } }

    static let ping: [UInt8] = [0x01]

    static func pathChallenge(_ data: [UInt8]) -> [UInt8] { [0x1a] + data }
    static func pathResponse(_ data: [UInt8]) -> [UInt8] { [0x1b] + data }

    static func newConnectionID(_ sequence: UInt64, retirePriorTo: UInt64, id: [UInt8], token: [UInt8]) -> [UInt8] {
        of(0x18, sequence, retirePriorTo) + [UInt8(id.count)] + id + token
    }

    static func retireConnectionID(_ sequence: UInt64) -> [UInt8] { of(0x19, sequence) }

    static func stream(_ id: UInt64, offset: UInt64, _ bytes: [UInt8], fin: Bool) -> [UInt8] {
        of(0x0e | (fin ? 1 : 0), id, offset, UInt64(bytes.count)) + bytes
    }

    /// Acknowledges these packets, of which there is one at least.
    static func ack(_ numbers: Set<UInt64>) -> [UInt8] {
        var ranges: [ClosedRange<UInt64>] = []
        for number in numbers.sorted(by: >) {
            if let last = ranges.last, last.lowerBound == number + 1 { ranges[ranges.count - 1] = number...last.upperBound } else { ranges.append(number...number) }
        }
        ranges = Array(ranges.prefix(32))
        var frame = of(0x02, ranges[0].upperBound, 0, UInt64(ranges.count - 1), ranges[0].upperBound - ranges[0].lowerBound)
        for (before, range) in zip(ranges, ranges.dropFirst()) {
            frame += variable(before.lowerBound - range.upperBound - 2) + variable(range.upperBound - range.lowerBound)
        }
        return frame
    }
}

/// What a server says of paths and ids.
enum News {
    case newConnectionID(sequence: UInt64, id: [UInt8])
    case retireConnectionID(sequence: UInt64)
    case pathChallenge([UInt8])
    case close

    /// The news in a packet's payload.
    static func all(in payload: ArraySlice<UInt8>) -> [News] {
        var news: [News] = []
        var rest = payload
        func byte() -> UInt8 { rest.popFirst() ?? 0 }
        func variable() -> UInt64 {
            let first = byte()
            return (1..<(1 << (first >> 6))).reduce(UInt64(first & 0x3f)) { value, _ in value << 8 | UInt64(byte()) }
        }
        func take(_ count: UInt64) -> [UInt8] {
            let taken = Array(rest.prefix(Int(min(count, 65535))))
            rest = rest.dropFirst(taken.count)
            return taken
        }
        func skip(_ fields: Int) { for _ in 0..<fields { _ = variable() } }
        while !rest.isEmpty {
            let type = variable()
            switch type {
            case 0x00, 0x01, 0x1e: break
            case 0x02, 0x03:
                skip(2)
                let ranges = variable()
                skip(1 + 2 * Int(min(ranges, 1000)) + (type == 0x03 ? 3 : 0))
            case 0x04: skip(3)
            case 0x05, 0x11, 0x15: skip(2)
            case 0x06:
                skip(1)
                _ = take(variable())
            case 0x07: _ = take(variable())
            case 0x08...0x0f:
                skip(type & 4 != 0 ? 2 : 1)
                _ = take(type & 2 != 0 ? variable() : UInt64(rest.count))
            case 0x10, 0x12, 0x13, 0x14, 0x16, 0x17: skip(1)
            case 0x18:
                let sequence = variable()
                skip(1)
                news.append(.newConnectionID(sequence: sequence, id: take(UInt64(byte()))))
                _ = take(16)
            case 0x19: news.append(.retireConnectionID(sequence: variable()))
            case 0x1a: news.append(.pathChallenge(take(8)))
            case 0x1b: _ = take(8)
            case 0x1c, 0x1d:
                news.append(.close)
                return news
            default: preconditionFailure("a server sent a frame of type \(type)")
            }
        }
        return news
    }
}
