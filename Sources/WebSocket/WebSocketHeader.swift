/// Why a connection can't go on (RFC 6455, 7.1.7).
public enum WebSocketError: Error, Equatable {
    /// Reserved bits or numbers, a wrong mask, a fragment out of place, a control frame that is too long or in pieces.
    case protocolError
    /// A message longer than the reader takes.
    case messageTooLarge

    /// The status of the close frame that tells the peer.
    public var closeStatus: UInt16 {
        switch self {
        case .protocolError: 1002
        case .messageTooLarge: 1009
        }
    }
}

/// What a frame is (RFC 6455, 5.2).
public enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10

    public var isControl: Bool { rawValue >= 8 }
}

/// The header of a WebSocket frame (RFC 6455, 5.2).
public struct WebSocketHeader: Equatable, Sendable {
    /// Bytes that a control frame may carry (RFC 6455, 5.5).
    public static let largestControl = 125

    public var opcode: WebSocketOpcode
    /// Whether the message ends with this frame.
    public var isFinal: Bool
    /// Four bytes in the order in which they stand; clients mask, servers do not.
    public var mask: UInt32?
    /// Bytes.
    public var payload: Int

    public init(opcode: WebSocketOpcode, isFinal: Bool = true, mask: UInt32? = nil, payload: Int) {
        self.opcode = opcode
        self.isFinal = isFinal
        self.mask = mask
        self.payload = payload
    }

    /// Bytes of the header itself.
    public var length: Int { 2 + (payload < 126 ? 0 : payload <= 0xffff ? 2 : 8) + (mask == nil ? 0 : 4) }

    /// Reads a header; nil when it is not complete yet.
    public init?(decoding bytes: UnsafeRawBufferPointer) throws(WebSocketError) {
        guard bytes.count >= 2 else { return nil }
        guard bytes[0] & 0x70 == 0, let opcode = WebSocketOpcode(rawValue: bytes[0] & 0x0f) else { throw .protocolError }
        let isMasked = bytes[1] & 0x80 != 0
        var payload = Int(bytes[1] & 0x7f)
        var position = 2
        if payload >= 126 {
            let width = payload == 126 ? 2 : 8
            guard bytes.count >= position + width else { return nil }
            let long = bytes[position..<position + width].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            // The shortest form is the only one, and the highest bit is no length.
            guard long >= (width == 2 ? 126 : 0x1_0000), let exact = Int(exactly: long) else { throw .protocolError }
            payload = exact
            position += width
        }
        if isMasked {
            guard bytes.count >= position + 4 else { return nil }
            mask = bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)
        }
        self.opcode = opcode
        isFinal = bytes[0] & 0x80 != 0
        self.payload = payload
        if opcode.isControl, !isFinal || payload > Self.largestControl { throw .protocolError }
    }

    public func append(to bytes: inout [UInt8]) { withEncoded { bytes.append(contentsOf: $0) } }

    /// The header's bytes, without an allocation.
    public func withEncoded<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeTemporaryAllocation(byteCount: Self.longest, alignment: 8) { bytes in
            bytes[0] = (isFinal ? 0x80 : 0) | opcode.rawValue
            let masked: UInt8 = mask == nil ? 0 : 0x80
            var position = 2
            if payload < 126 {
                bytes[1] = masked | UInt8(payload)
            } else if payload <= 0xffff {
                bytes[1] = masked | 126
                bytes.storeBytes(of: UInt16(payload).bigEndian, toByteOffset: position, as: UInt16.self)
                position += 2
            } else {
                bytes[1] = masked | 127
                bytes.storeBytes(of: UInt64(payload).bigEndian, toByteOffset: position, as: UInt64.self)
                position += 8
            }
            if let mask {
                bytes.storeBytes(of: mask, toByteOffset: position, as: UInt32.self)
                position += 4
            }
            return body(UnsafeRawBufferPointer(rebasing: bytes[..<position]))
        }
    }

    private static let longest = 14
}

/// Masks or unmasks a payload in place (RFC 6455, 5.3).
public func applyWebSocketMask(_ mask: UInt32, to payload: UnsafeMutableRawBufferPointer) {
    let wide = SIMD16<UInt32>(repeating: mask)
    var position = 0
    while position + 64 <= payload.count {
        let words = payload.loadUnaligned(fromByteOffset: position, as: SIMD16<UInt32>.self)
        payload.storeBytes(of: words ^ wide, toByteOffset: position, as: SIMD16<UInt32>.self)
        position += 64
    }
    withUnsafeBytes(of: mask) { key in
        while position < payload.count {
            payload[position] ^= key[position & 3]
            position += 1
        }
    }
}
