import Crypto

/// The datagrams in which two ends talk beside their QUIC connection, over UDP and through relays (keyhole-paths(7), "Control datagrams").
///
/// To everybody on the way, and to a peer that does not know them, they are short QUIC packets to a connection id that nobody has
/// (spec/path-migration.md, W3):
///
///     0x40 | destination id (8) | session tag (8) | number (8) | sealed message
public enum ControlDatagram {
    /// Where the destination id of a short QUIC packet stands.
    public static let destinationID = Array("keyhole\u{1}".utf8)
    static let headerLength = 1 + 8 + 8 + 8
    /// Bytes of a datagram with the longest message. All fits into what every network carries, relays included.
    public static let mostBytes = headerLength + ControlMessage.mostBytes + SealingKey.overhead

    private static let word = destinationID.reduce(0) { $0 << 8 | UInt64($1) }

    /// The tag of the session that a datagram belongs to; nil if it is none of these datagrams. Asked for every datagram that comes.
    @inline(__always)
    public static func sessionTag(of datagram: UnsafeRawBufferPointer) -> UInt64? {
        guard datagram.count > headerLength, datagram[0] & 0x80 == 0,
              UInt64(bigEndian: datagram.loadUnaligned(fromByteOffset: 1, as: UInt64.self)) == word, datagram.count <= mostBytes
        else { return nil }
        return UInt64(bigEndian: datagram.loadUnaligned(fromByteOffset: 9, as: UInt64.self))
    }

    static func seal(_ message: ControlMessage, number: UInt64, keys: SessionKeys) -> [UInt8] {
        var header = [0x40] + destinationID
        header.append(contentsOf: withUnsafeBytes(of: keys.tag.bigEndian, Array.init))
        header.append(contentsOf: withUnsafeBytes(of: number.bigEndian, Array.init))
        return header + keys.sending.seal(message.encoded, number: number, header: header)
    }

    /// What a datagram of the session holds; nil for one that the peer has not sealed, and for messages that we don't know.
    static func open(_ datagram: UnsafeRawBufferPointer, keys: SessionKeys) -> (number: UInt64, message: ControlMessage)? {
        guard sessionTag(of: datagram) == keys.tag else { return nil }
        let header = Array(datagram[..<headerLength])
        let number = UInt64(bigEndian: datagram.loadUnaligned(fromByteOffset: 17, as: UInt64.self))
        guard let bytes = keys.receiving.open(Array(datagram[headerLength...]), number: number, header: header),
              let message = ControlMessage(decoding: bytes)
        else { return nil }
        return (number, message)
    }
}
