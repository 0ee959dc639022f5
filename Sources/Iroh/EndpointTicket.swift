import Crypto
import Platform

/// Why a text is no endpoint ticket.
public enum EndpointTicketError: Error, Equatable, CustomStringConvertible {
    /// It does not start with `endpoint`, followed by base32.
    case notATicket
    /// A format that came after this one.
    case unknownVariant(UInt64)
    /// The id is no key.
    case badKey
    /// It ends too early, goes on after its end, or holds a value that can't be.
    case malformed

    public var description: String {
        switch self {
        case .notATicket: "not an endpoint ticket: that is \"endpoint\" and lower-case base32"
        case .unknownVariant(let number): "endpoint ticket of an unknown format, number \(number)"
        case .badKey: "the ticket's endpoint id is not a key"
        case .malformed: "malformed endpoint ticket"
        }
    }
}

/// iroh's `EndpointTicket`: an endpoint address in one word (spec/iroh-wire.md, 6).
public enum EndpointTicket {
    private static let prefix = "endpoint"

    /// Reads a ticket. Addresses of transports that only an application knows are left out.
    public static func address(_ text: some StringProtocol) throws(EndpointTicketError) -> EndpointAddress {
        guard text.hasPrefix(prefix), let bytes = Base32Alphabet.rfc4648LowerCase.decode(text.dropFirst(prefix.count)) else {
            throw .notATicket
        }
        var reader = PostcardReader(bytes)
        let variant = try reader.integer()
        guard variant == 0 else { throw .unknownVariant(variant) }
        guard let id = PublicKey(bytes: try reader.take(32)) else { throw .badKey }
        var address = EndpointAddress(id: id)
        for _ in 0..<(try reader.integer()) {
            switch try reader.integer() {
            case 0:
                guard let text = String(validating: try reader.bytes(), as: UTF8.self), let url = RelayURL(text) else { throw .malformed }
                address.relayURLs.append(url)
            case 1: address.addresses.append(try reader.socketAddress())
            case 2:
                _ = try reader.integer()
                _ = try reader.bytes()
            default: throw .malformed
            }
        }
        guard reader.isAtEnd else { throw .malformed }
        return address
    }
}

/// Reads what Rust's postcard writes: numbers in LEB128, byte strings with their length before them.
private struct PostcardReader {
    private let content: [UInt8]
    private var position = 0

    init(_ content: [UInt8]) { self.content = content }

    var isAtEnd: Bool { position == content.count }

    mutating func take(_ count: Int) throws(EndpointTicketError) -> ArraySlice<UInt8> {
        guard count <= content.count - position else { throw .malformed }
        defer { position += count }
        return content[position..<position + count]
    }

    mutating func integer() throws(EndpointTicketError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, through: 63, by: 7) {
            let byte = try take(1).first!
            // Of the tenth byte, only one bit fits.
            guard shift < 63 || byte <= 1 else { break }
            value |= UInt64(byte & 0x7f) << UInt64(shift)
            if byte & 0x80 == 0 { return value }
        }
        throw .malformed
    }

    mutating func bytes() throws(EndpointTicketError) -> ArraySlice<UInt8> {
        guard let count = Int(exactly: try integer()) else { throw .malformed }
        return try take(count)
    }

    mutating func socketAddress() throws(EndpointTicketError) -> SocketAddress {
        let family = try integer()
        guard family <= 1, let ip = IPAddress(bytes: try take(family == 0 ? 4 : 16)), let port = UInt16(exactly: try integer()) else {
            throw .malformed
        }
        let address = SocketAddress(ip: ip, port: port)
        guard address.isDestination else { throw .malformed }
        return address
    }
}
