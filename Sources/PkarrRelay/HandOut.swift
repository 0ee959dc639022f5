import Crypto
import Pkarr

/// Takes the packets of some keys from whoever puts them, instead of the world: one authority publishes for those keys, and it is given
/// what others want published (keyhole-merging(7)).
public final class HandOut {
    public let keys: Set<PublicKey>
    private var latest: [PublicKey: SignedPacket] = [:]
    private let onPacket: (SignedPacket) -> Void

    /// - Parameter onPacket: Called with each packet that is more recent than all before of its key.
    public init(_ keys: Set<PublicKey>, onPacket: @escaping (SignedPacket) -> Void) {
        self.keys = keys
        self.onPacket = onPacket
    }

    /// Takes a packet. Returns false when a more recent one of its key has been given before.
    @discardableResult
    public func take(_ packet: SignedPacket) -> Bool {
        precondition(keys.contains(packet.publicKey))
        if let last = latest[packet.publicKey], !packet.isMoreRecent(than: last) { return packet == last }
        latest[packet.publicKey] = packet
        onPacket(packet)
        return true
    }
}
