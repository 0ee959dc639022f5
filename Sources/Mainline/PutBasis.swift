/// What an item to be put was made from, so that a put never replaces what its author has not seen.
///
/// Each node is sent as `cas` (BEP 44) the sequence that it had in the look-up before the put, 0 if it had none: a node where somebody
/// else's item has come in between refuses with 301. One number for all nodes would not do, for some always have older items.
public struct PutBasis: Equatable, Sendable {
    /// Most items told of that a put does not take into account: the key's owner has signed them all, so there are few.
    static let mostUnmerged = 16

    /// The sequence of the newest item that was known; items up to this one have been taken into account. Nil when none was known.
    public var previous: Int64?
    /// Sequences of more recent items that have been taken into account, such as the author's own.
    public var known: Set<Int64>

    public init(previous: Int64?, known: Set<Int64> = []) {
        self.previous = previous
        self.known = known
    }

    /// Whether the author knew this item.
    func takesIntoAccount(_ item: MutableItem) -> Bool { previous.map { item.sequence <= $0 } ?? false || known.contains(item.sequence) }
}
