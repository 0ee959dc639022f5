import Crypto

/// What both ends of one QUIC connection derive from it to talk beside it (RFC 9266 tells why an exporter is bound to its connection).
public struct SessionKeys: Sendable {
    /// The exporter's label (RFC 5705, section 4).
    public static let label = "EXPORTER-keyhole-hole-punching"
    /// Bytes to be exported: a key for each direction and the tag.
    public static let exportedLength = 2 * SealingKey.length + 8

    /// Stands unsealed in each datagram, so that the receiver finds the session. Nobody else can tell which connection it is of.
    public let tag: UInt64
    let sending: SealingKey
    let receiving: SealingKey

    /// Nil unless there are ``exportedLength`` bytes.
    public init?(exported: [UInt8], role: PunchSession.Role) {
        guard exported.count == Self.exportedLength, let client = SealingKey(bytes: exported[..<32]),
              let server = SealingKey(bytes: exported[32..<64])
        else { return nil }
        tag = exported[64...].reduce(0) { $0 << 8 | UInt64($1) }
        (sending, receiving) = role == .client ? (client, server) : (server, client)
    }
}
