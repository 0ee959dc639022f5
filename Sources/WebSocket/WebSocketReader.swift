/// Reads WebSocket messages out of a byte stream (RFC 6455) without a socket and without a copy.
///
/// It keeps nothing of a connection between messages, so that ten thousand idle ones cost nothing; bytes that do not make a whole frame yet
/// stay with whoever reads the socket. Only the pieces of a fragmented message are kept here. (A context of libwslay holds 8.8 KB all the
/// time, ten times what an idle client of the relay takes in all.)
public struct WebSocketReader {
    public enum Role: Sendable { case client, server }

    /// What came: a message, whole, or a control frame.
    public enum Kind: Sendable { case text, binary, ping, pong, close }

    private let role: Role
    /// Bytes of a message at most.
    private let limit: Int
    private var fragments: [UInt8] = []
    private var fragmented: WebSocketOpcode?

    public init(role: Role, limit: Int) {
        self.role = role
        self.limit = limit
    }

    /// Reads all whole frames. Payloads are unmasked where they lie.
    ///
    /// - Parameter take: Gets each message, whose bytes are valid until it returns; false ends the reading.
    /// - Returns: The bytes read; the rest is the beginning of a frame.
    public mutating func read(
        _ bytes: UnsafeMutableRawBufferPointer, _ take: (Kind, UnsafeRawBufferPointer) -> Bool
    ) throws(WebSocketError) -> Int {
        var position = 0
        while true {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[position...])
            guard let header = try WebSocketHeader(decoding: UnsafeRawBufferPointer(rest)) else { return position }
            guard (header.mask != nil) == (role == .server) else { throw .protocolError }
            let isData = !header.opcode.isControl
            guard !isData || header.payload <= limit - fragments.count else { throw .messageTooLarge }
            if isData, (header.opcode == .continuation) != (fragmented != nil) { throw .protocolError }
            guard rest.count - header.length >= header.payload else { return position }
            let payload = UnsafeMutableRawBufferPointer(rebasing: rest[header.length..<header.length + header.payload])
            if let mask = header.mask { applyWebSocketMask(mask, to: payload) }
            position += header.length + header.payload
            guard self.take(header, UnsafeRawBufferPointer(payload), take) else { return position }
        }
    }

    private mutating func take(
        _ header: WebSocketHeader, _ payload: UnsafeRawBufferPointer, _ take: (Kind, UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        switch header.opcode {
        case .close: return take(.close, payload)
        case .ping: return take(.ping, payload)
        case .pong: return take(.pong, payload)
        case .text where header.isFinal: return take(.text, payload)
        case .binary where header.isFinal: return take(.binary, payload)
        case .text, .binary, .continuation:
            if fragmented == nil { fragmented = header.opcode }
            fragments.append(contentsOf: payload)
            guard header.isFinal else { return true }
            let kind: Kind = fragmented == .text ? .text : .binary
            let whole = fragments
            fragments = []
            fragmented = nil
            return whole.withUnsafeBytes { take(kind, $0) }
        }
    }
}
