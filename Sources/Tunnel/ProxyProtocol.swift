import Crypto
import Platform

/// The header by which a server behind a bridge learns who is at the other end: version 2 of HAProxy's PROXY protocol
/// (haproxy.org, proxy-protocol.txt, section 2.2).
public enum ProxyProtocol {
    /// The TLV that holds the peer's key in z-base-32, of those that are for everybody's own use (PP2_TYPE_MIN_CUSTOM).
    public static let keyType: UInt8 = 0xe0

    private static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
    /// Version 2, for a connection of somebody else.
    private static let proxied: UInt8 = 0x21

    /// - Parameters:
    ///   - source: The peer's address; nil when it comes through a relay.
    ///   - target: Where the connection goes, as far as it is an address of the same family.
    public static func header(source: SocketAddress?, target: SocketAddress?, peer: PublicKey?) -> [UInt8] {
        var addresses: [UInt8] = []
        var family: UInt8 = 0x00
        if let source {
            // The family of the source decides; a target of the other one is of no more interest than none.
            let unknown = SocketAddress(ip: source.ip.isV6 ? .v6(high: 0, low: 0) : .v4(0), port: 0)
            let target = target.flatMap { $0.ip.isV6 == source.ip.isV6 ? $0 : nil } ?? unknown
            family = source.ip.isV6 ? 0x21 : 0x11
            addresses = source.ip.bytes + target.ip.bytes + bigEndian(source.port) + bigEndian(target.port)
        }
        if let peer {
            let text = Array(peer.zBase32.utf8)
            addresses += [keyType] + bigEndian(UInt16(text.count)) + text
        }
        return signature + [proxied, family] + bigEndian(UInt16(addresses.count)) + addresses
    }

    private static func bigEndian(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }
}
