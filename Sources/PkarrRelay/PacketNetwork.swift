import Crypto
import Discovery
import Mainline

/// What a relay needs of the DHT behind it.
public protocol PacketNetwork: AnyObject {
    /// Whether any other node is known.
    var isJoined: Bool { get }

    /// As ``Discovery/DHTNode/get(_:moreRecentThan:onItem:completion:)``; neither closure is called from within this call.
    func lookUp(
        _ key: PublicKey, moreRecentThan: Int64?, onItem: @escaping (MutableItem) -> Void, completion: @escaping (LookupOutcome) -> Void)

    /// As ``Discovery/DHTNode/put(_:onto:completion:)``; the closure is not called from within this call.
    func store(_ item: MutableItem, onto basis: PutBasis?, completion: @escaping (PutOutcome) -> Void)
}

extension DHTNode: PacketNetwork {
    public var isJoined: Bool { knownNodes > 0 }

    public func lookUp(
        _ key: PublicKey, moreRecentThan: Int64?, onItem: @escaping (MutableItem) -> Void, completion: @escaping (LookupOutcome) -> Void
    ) {
        get(key, moreRecentThan: moreRecentThan, onItem: { item, _ in onItem(item) }, completion: completion)
    }

    public func store(_ item: MutableItem, onto basis: PutBasis?, completion: @escaping (PutOutcome) -> Void) {
        put(item, onto: basis, completion: completion)
    }
}
