/// Why the bytes are no relay frame.
public enum RelayFrameError: Error, Equatable {
    /// A type that the protocol has not.
    case unknownType(UInt8)
    /// It ends too early, or goes on after its end.
    case malformed
    /// A frame that carries no datagram, which nobody would take.
    case noDatagram
    /// More than ``RelayFrame/largestBody`` bytes after the type.
    case tooLarge
}

/// A frame of the iroh relay protocol, one binary WebSocket message each (spec/iroh-wire.md, 4.2).
public enum RelayFrame: Equatable, Sendable {
    /// Bytes after the type that a receiver takes at most.
    public static let largestBody = 65536
    /// Bytes of a frame with its type that a sender may send.
    public static let largestSent = 65536

    /// The version of the protocol, which is the WebSocket sub-protocol agreed on.
    public enum Version: Int, Comparable, CaseIterable, Sendable {
        case v1 = 1, v2

        /// As in `Sec-WebSocket-Protocol`.
        public var name: String { "iroh-relay-v\(rawValue)" }
        public static func < (left: Version, right: Version) -> Bool { left.rawValue < right.rawValue }
    }

    /// The state of a connection, as the relay tells a client of version 2.
    public enum Status: Equatable, Sendable {
        case healthy
        /// Another connection with the same id has taken over.
        case sameIDConnected
        case rateLimited
        /// One that came later than this.
        case other(UInt8)

        var number: UInt8 {
            switch self {
            case .healthy: 0
            case .sameIDConnected: 1
            case .rateLimited: 2
            case .other(let number): number
            }
        }

        init(_ number: UInt8) { self = [.healthy, .sameIDConnected, .rateLimited].first { $0.number == number } ?? .other(number) }
    }

    /// 16 random bytes to be signed.
    case serverChallenge([UInt8])
    case clientAuth(RelayAuthentication)
    case serverConfirmsAuth
    case serverDeniesAuth(reason: String)
    case datagrams(RelayDatagramHeader, content: [UInt8])
    case endpointGone(EndpointID)
    /// 8 bytes that the pong repeats.
    case ping([UInt8])
    case pong([UInt8])
    /// Version 1 only: why the connection is not healthy.
    case health(String)
    /// Milliseconds to wait before connecting again, and milliseconds to go on trying.
    case restarting(reconnectIn: UInt32, tryFor: UInt32)
    /// Version 2 only.
    case status(Status)

    /// The number of a frame's type, its first byte.
    enum Number {
        static let serverChallenge: UInt8 = 0, clientAuth: UInt8 = 1, serverConfirmsAuth: UInt8 = 2, serverDeniesAuth: UInt8 = 3
        static let endpointGone: UInt8 = 8, ping: UInt8 = 9, pong: UInt8 = 10, health: UInt8 = 11, restarting: UInt8 = 12
        static let status: UInt8 = 13
    }

    private static let challengeLength = 16
    private static let pingLength = 8

    /// Reads one frame. Types are variable-length integers below 64, so they are one byte.
    public init(decoding frame: UnsafeRawBufferPointer) throws(RelayFrameError) {
        guard let type = frame.first else { throw .malformed }
        guard frame.count - 1 <= Self.largestBody else { throw .tooLarge }
        if RelayDatagramHeader.isType(type) {
            let header = try RelayDatagramHeader(decoding: frame)
            self = .datagrams(header, content: Array(frame[header.length...]))
            return
        }
        let body = Array(frame.dropFirst())
        func exactly(_ count: Int) throws(RelayFrameError) -> [UInt8] {
            guard body.count == count else { throw .malformed }
            return body
        }
        func number(_ offset: Int) -> UInt32 { body[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        switch type {
        case Number.serverChallenge: self = .serverChallenge(try exactly(Self.challengeLength))
        case Number.clientAuth:
            guard let authentication = RelayAuthentication(decoding: body) else { throw .malformed }
            self = .clientAuth(authentication)
        case Number.serverConfirmsAuth:
            _ = try exactly(0)
            self = .serverConfirmsAuth
        case Number.serverDeniesAuth:
            guard let (count, rest) = leb128(body), rest.count == count, let reason = String(validating: rest, as: UTF8.self) else {
                throw .malformed
            }
            self = .serverDeniesAuth(reason: reason)
        case Number.endpointGone: self = .endpointGone(EndpointID(bytes: try exactly(EndpointID.length))!)
        case Number.ping: self = .ping(try exactly(Self.pingLength))
        case Number.pong: self = .pong(try exactly(Self.pingLength))
        case Number.health:
            guard let text = String(validating: body, as: UTF8.self) else { throw .malformed }
            self = .health(text)
        case Number.restarting:
            _ = try exactly(8)
            self = .restarting(reconnectIn: number(0), tryFor: number(4))
        case Number.status:
            // Bytes after the first are for what may come.
            guard let status = body.first else { throw .malformed }
            self = .status(Status(status))
        default: throw .unknownType(type)
        }
    }

    /// The frame's bytes, type first.
    public var encoded: [UInt8] {
        switch self {
        case .serverChallenge(let challenge): return [Number.serverChallenge] + challenge
        case .clientAuth(let authentication): return [Number.clientAuth] + authentication.encoded
        case .serverConfirmsAuth: return [Number.serverConfirmsAuth]
        case .serverDeniesAuth(let reason):
            let text = Array(reason.utf8)
            return [Number.serverDeniesAuth] + leb128(text.count) + text
        case .datagrams(let header, let content): return header.encoded + content
        case .endpointGone(let id): return [Number.endpointGone] + id.bytes
        case .ping(let bytes): return [Number.ping] + bytes
        case .pong(let bytes): return [Number.pong] + bytes
        case .health(let text): return [Number.health] + Array(text.utf8)
        case .restarting(let reconnectIn, let tryFor):
            let numbers = [reconnectIn, tryFor].flatMap { number in withUnsafeBytes(of: number.bigEndian, Array.init) }
            return [Number.restarting] + numbers
        case .status(let status): return [Number.status, status.number]
        }
    }
}

/// A length as Rust's postcard writes it, of at most three bytes, and what follows.
private func leb128(_ bytes: [UInt8]) -> (value: Int, rest: ArraySlice<UInt8>)? {
    var value = 0
    for (index, byte) in bytes.prefix(3).enumerated() {
        value |= Int(byte & 0x7f) << (7 * index)
        if byte & 0x80 == 0 { return (value, bytes[(index + 1)...]) }
    }
    return nil
}

private func leb128(_ value: Int) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f) | 0x80] + leb128(value >> 7)
}
