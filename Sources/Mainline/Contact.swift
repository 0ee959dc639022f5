import Platform

/// A node of the DHT as others name it: its id and its UDP address.
public struct Contact: Hashable, Sendable {
    public var id: NodeID
    public var address: SocketAddress

    public init(id: NodeID, address: SocketAddress) {
        self.id = id
        self.address = address
    }

    /// Reads compact node info of IPv6 nodes (BEP 32): 38 bytes each. As with ``list(compact:)``, what is of no use is dropped.
    static func list(compact6 bytes: [UInt8]) -> [Contact] {
        stride(from: 0, to: bytes.count / 38 * 38, by: 38).compactMap { start in
            guard let address = SocketAddress(compact: bytes[start + 20..<start + 38]), address.isUsable, address.ip.unmapped.isV6 else {
                return nil
            }
            return Contact(id: NodeID(bytes[start..<start + 20])!, address: address)
        }
    }

    /// Reads compact node info (BEP 5): 26 bytes each. Bytes left over and contacts that nothing can be sent to are dropped.
    static func list(compact bytes: [UInt8]) -> [Contact] {
        var contacts: [Contact] = []
        contacts.reserveCapacity(bytes.count / 26)
        var start = 0
        while start + 26 <= bytes.count {
            let ip = bytes[start + 20..<start + 24].reduce(0) { $0 << 8 | UInt32($1) }
            let port = UInt16(bytes[start + 24]) << 8 | UInt16(bytes[start + 25])
            let address = SocketAddress(ip: .v4(ip), port: port)
            if address.isUsable { contacts.append(Contact(id: NodeID(bytes[start..<start + 20])!, address: address)) }
            start += 26
        }
        return contacts
    }

    /// Compact node info: 26 bytes for IPv4, 38 for IPv6.
    var compact: [UInt8] { id.bytes + address.compact }
}

extension SocketAddress {
    /// Compact form (BEP 5): address and port in network order. Nil unless there are 6 or 18 bytes.
    init?(compact bytes: some Collection<UInt8>) {
        guard let ip = IPAddress(bytes: bytes.dropLast(2)) else { return nil }
        self.init(ip: ip, port: bytes.suffix(2).reduce(0) { $0 << 8 | UInt16($1) })
    }

    var compact: [UInt8] { ip.bytes + [UInt8(port >> 8), UInt8(port & 255)] }

    /// Whether a node can be there: not port 0, not an unspecified, multicast or broadcast address.
    var isUsable: Bool {
        guard port != 0, !ip.isUnspecified else { return false }
        switch ip {
        case .v4(let value): return value >> 24 != 0 && value >> 28 < 0xe
        case .v6(let high, _): return high >> 56 != 0xff
        }
    }
}
