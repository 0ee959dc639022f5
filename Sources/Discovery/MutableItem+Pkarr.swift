import Mainline
import Pkarr

extension MutableItem {
    /// The item that a packet is in the DHT (spec/pkarr-wire.md, 1.2).
    public init(_ packet: SignedPacket) {
        self.init(key: packet.publicKey, sequence: Int64(packet.timestamp), signature: packet.signature, value: packet.message)
    }
}

extension SignedPacket {
    /// The packet in an item. Throws when the value is no DNS message, which the key's owner may well have signed.
    public init(_ item: MutableItem) throws(SignedPacketError) {
        guard let message = item.value else { throw .badMessage(.truncated(offset: 0)) }
        try self.init(publicKey: item.key, signature: item.signature, timestamp: UInt64(bitPattern: item.sequence), message: message)
    }
}
