/// Follows a body through a stream of bytes, without keeping any of them, to tell where it ends. The bytes are passed on as they are.
///
/// Of a chunked body (RFC 9112, 7.1) the syntax is checked and what is not data is bounded.
public struct BodyTracker: Sendable {
    /// Bytes of one line of a chunk's size with its extensions, which nobody uses.
    public static let longestSizeLine = 256
    /// Bytes of the trailer section.
    public static let largestTrailers = 8 << 10
    /// Digits of a chunk's size that count: fifteen are more than anybody sends, and no overflow.
    private static let mostDigits = 15

    private enum State: Equatable {
        case data(UInt64)
        case untilClose
        case size
        case extensions
        case sizeEnd
        case chunk(UInt64)
        case chunkEnd
        case chunkEndFeed
        case lineStart
        case trailerName
        case trailerValue
        case trailerEnd
        case finalFeed
        case finished
    }

    private var state: State
    private var size: UInt64 = 0
    private var digits = 0
    /// Bytes of the present size line, or of the trailers.
    private var lineLength = 0
    /// Whether what was consumed last was of the trailer section, which may be left out when the body is passed on (RFC 9110, 6.5.1).
    public private(set) var tookTrailer = false

    public init(_ framing: BodyFraming) {
        state = switch framing {
        case .none, .length(0): .finished
        case .length(let count): .data(count)
        case .chunked: .size
        case .untilClose: .untilClose
        }
    }

    public var isFinished: Bool { state == .finished }

    /// The end of the connection has come.
    ///
    /// - Returns: Whether the body is whole.
    public mutating func finish() -> Bool {
        if state == .untilClose { state = .finished }
        return isFinished
    }

    /// Bytes that follow and are data for certain, so that nobody needs to look at them; `UInt64.max` until the connection is closed.
    public var certain: UInt64 {
        switch state {
        case .data(let count), .chunk(let count): count
        case .untilClose: .max
        default: 0
        }
    }

    /// ``certain`` bytes, or less, have gone by without being looked at.
    public mutating func skip(_ count: UInt64) {
        precondition(count <= certain, "more than the body's own bytes")
        switch state {
        case .data(let left): state = left == count ? .finished : .data(left - count)
        case .chunk(let left): state = left == count ? .chunkEnd : .chunk(left - count)
        default: break
        }
    }

    /// How many of the bytes belong to the body; 0 when it is finished or there are none.
    ///
    /// Trailer fields are taken by calls of their own, see ``tookTrailer``: so a call may take less than all that belongs to the body.
    ///
    /// - Throws: ``MessageError/malformed(_:)``; nothing of the stream is to be trusted any more.
    public mutating func consume(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> Int {
        tookTrailer = state == .trailerName || state == .trailerValue || state == .trailerEnd
        var position = 0
        while position < bytes.count, state != .finished {
            let most = certain
            if most > 0 {
                let count = Int(min(most, UInt64(bytes.count - position)))
                skip(UInt64(count))
                position += count
                continue
            }
            let byte = bytes[position]
            if state == .lineStart {
                // The trailers begin here, or end.
                let isTrailer = byte != UInt8(ascii: "\r")
                if position > 0, isTrailer != tookTrailer { return position }
                tookTrailer = isTrailer
            }
            try take(byte)
            position += 1
        }
        return position
    }

    private mutating func take(_ byte: UInt8) throws(MessageError) {
        lineLength += 1
        switch state {
        case .size, .extensions, .sizeEnd: try takeOfSizeLine(byte)
        case .chunkEnd:
            try expect(byte, "\r")
            state = .chunkEndFeed
        case .chunkEndFeed:
            try expect(byte, "\n")
            begin(.size)
        case .data, .untilClose, .chunk, .finished: preconditionFailure("data is not looked at")
        default: try takeOfTrailers(byte)
        }
    }

    private mutating func takeOfSizeLine(_ byte: UInt8) throws(MessageError) {
        guard lineLength <= Self.longestSizeLine else { throw .malformed("a chunk's size line is too long") }
        switch (state, byte) {
        case (.size, _) where Characters.hexadecimal(byte) != nil:
            guard digits < Self.mostDigits else { throw .malformed("a chunk's size is too large") }
            size = size << 4 | UInt64(Characters.hexadecimal(byte)!)
            digits += 1
        case (.size, UInt8(ascii: ";")) where digits > 0: state = .extensions
        case (.size, UInt8(ascii: "\r")) where digits > 0, (.extensions, UInt8(ascii: "\r")): state = .sizeEnd
        case (.extensions, _) where Characters.isText(byte): break
        case (.sizeEnd, UInt8(ascii: "\n")):
            let isLast = size == 0
            begin(isLast ? .lineStart : .chunk(size))
        default: throw .malformed("a chunk's size is no number")
        }
    }

    private mutating func takeOfTrailers(_ byte: UInt8) throws(MessageError) {
        guard lineLength <= Self.largestTrailers else { throw .malformed("the trailers are too long") }
        switch (state, byte) {
        case (.lineStart, UInt8(ascii: "\r")): state = .finalFeed
        case (.lineStart, _) where Characters.isToken(byte), (.trailerName, _) where Characters.isToken(byte): state = .trailerName
        case (.trailerName, UInt8(ascii: ":")): state = .trailerValue
        case (.trailerValue, UInt8(ascii: "\r")): state = .trailerEnd
        case (.trailerValue, _) where Characters.isText(byte): break
        case (.trailerEnd, UInt8(ascii: "\n")): state = .lineStart
        case (.finalFeed, UInt8(ascii: "\n")): state = .finished
        default: throw .malformed("a trailer is no field")
        }
    }

    private mutating func begin(_ next: State) {
        state = next
        (size, digits, lineLength) = (0, 0, 0)
    }

    private func expect(_ byte: UInt8, _ character: Unicode.Scalar) throws(MessageError) {
        guard byte == UInt8(ascii: character) else { throw .malformed("a chunk does not end where it should") }
    }
}
