import Platform

/// The messages of the Port Control Protocol for a mapping of a UDP port (RFC 6887, sections 7 and 11.1).
public enum PCPMapping {
    /// Where routers take requests.
    public static let port: UInt16 = 5351
    /// Bytes of a nonce, of a request, and of an answer at most (section 7).
    public static let nonceLength = 12, requestLength = 60, mostBytes = 1100

    private static let version: UInt8 = 2, announce: UInt8 = 0, map: UInt8 = 1, answers: UInt8 = 0x80, udp: UInt8 = 17
    private static let headerLength = 24
    private static let unsupportedVersion: UInt8 = 1

    public struct Request: Equatable, Sendable {
        /// The same for each renewal of a mapping, so that nobody else takes it over.
        public var nonce: [UInt8]
        public var client: SocketAddress
        /// What we would like to have, or have; nil for any.
        public var suggested: SocketAddress?
        /// In seconds; 0 gives the mapping back.
        public var lifetime: UInt32

        /// - Parameter nonce: 12 bytes.
        public init(nonce: [UInt8], client: SocketAddress, suggested: SocketAddress?, lifetime: UInt32) {
            precondition(nonce.count == nonceLength)
            self.nonce = nonce
            self.client = client
            self.suggested = suggested
            self.lifetime = lifetime
        }

        public var encoded: [UInt8] {
            // No external address is the family's address of zeros (11.1).
            let external = suggested?.ip ?? (client.ip.isV6 ? .v6(high: 0, low: 0) : .v4(0))
            var bytes = [version, map, 0, 0] + bigEndian(lifetime) + mapped(client.ip)
            bytes += nonce + [udp, 0, 0, 0]
            bytes += bigEndian(client.port) + bigEndian(suggested?.port ?? 0) + mapped(external)
            return bytes
        }
    }

    /// Asks for nothing but a sign of life (section 14.1.1).
    public static func announcement(from client: IPAddress) -> [UInt8] { [version, announce, 0, 0] + bigEndian(0 as UInt32) + mapped(client) }

    /// Whether what has come as an answer to ``announcement(from:)`` shows that PCP is spoken; nil for what is no such answer.
    public static func isSpoken(_ bytes: [UInt8]) -> Bool? {
        // An older protocol's server says so in its own words (9; RFC 6886, 3.5).
        if bytes.count >= 8, bytes[0] != version, bytes[1] >= answers { return false }
        guard bytes.count >= headerLength, bytes.count <= mostBytes, bytes[0] == version, bytes[1] == answers | announce else { return nil }
        return bytes[3] != unsupportedVersion
    }

    /// What a router answers.
    public enum Answer: Equatable, Sendable {
        case granted(MappingGrant)
        case refused(MappingRefusal)
    }

    /// Reads the answer to a request; nil for anything else, which is to be waited on for.
    public static func answer(_ bytes: [UInt8], to request: Request) -> Answer? {
        // An older protocol's server says so in its own words (9; RFC 6886, 3.5).
        if bytes.count >= 8, bytes[0] != version, bytes[1] >= answers { return .refused(MappingRefusal("not spoken by the router", isUnspoken: true)) }
        guard bytes.count >= requestLength, bytes.count <= mostBytes, bytes.count % 4 == 0, bytes[0] == version, bytes[1] == answers | map,
            Array(bytes[headerLength..<headerLength + nonceLength]) == request.nonce, bytes[36] == udp,
            number(bytes, 40, UInt16.self) == request.client.port
        else { return nil }
        guard bytes[3] == 0 else {
            return .refused(MappingRefusal(words(for: bytes[3]), isUnspoken: bytes[3] == 1 || bytes[3] == 4))
        }
        guard let ip = IPAddress(bytes: bytes[44..<60])?.unmapped, ip.isV6 == request.client.ip.isV6 else { return nil }
        return .granted(MappingGrant(
            external: SocketAddress(ip: ip, port: number(bytes, 42, UInt16.self)), lifetime: number(bytes, 4, UInt32.self),
            epoch: number(bytes, 8, UInt32.self)))
    }

    /// Section 7.4.
    private static func words(for code: UInt8) -> String {
        switch code {
        case 1: "another version is spoken"
        case 2: "not allowed by the router"
        case 4: "the router maps no ports"
        case 7: "the router is not connected to the Internet"
        case 8: "the router has no port left"
        case 9: "the router maps no UDP ports"
        case 10: "too many ports are mapped already"
        case 11: "the port can't be had"
        case 12: "another NAT is between us and the router"
        default: "the router refused with code \(code)"
        }
    }

    private static func mapped(_ ip: IPAddress) -> [UInt8] { ip.isV6 ? ip.bytes : [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + ip.bytes }

    private static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }

    private static func number<Number: FixedWidthInteger>(_ bytes: [UInt8], _ offset: Int, _: Number.Type) -> Number {
        bytes[offset..<offset + MemoryLayout<Number>.size].reduce(0) { $0 << 8 | Number($1) }
    }
}
