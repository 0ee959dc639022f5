/// A dictionary of a bounded size that forgets what was not used lately.
///
/// It has two halves: when the newer one is full the older one goes. So what was used among the last `capacity / 2` others is there, for
/// the price of a dictionary and without a list to keep in order.
public struct RecentlyUsed<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    @usableFromInline let half: Int
    @usableFromInline var newer: [Key: Value] = [:]
    @usableFromInline var older: [Key: Value] = [:]

    @inlinable public init(capacity: Int) { half = max(1, capacity / 2) }

    @inlinable public var count: Int { newer.count + older.count }

    /// The value, which counts as a use.
    @inlinable public mutating func value(for key: Key) -> Value? {
        if let value = newer[key] { return value }
        guard let value = older.removeValue(forKey: key) else { return nil }
        set(value, for: key)
        return value
    }

    @inlinable public mutating func set(_ value: Value, for key: Key) {
        if newer.updateValue(value, forKey: key) != nil { return }
        older[key] = nil
        guard newer.count > half else { return }
        newer[key] = nil
        swap(&newer, &older)
        newer.removeAll(keepingCapacity: true)
        newer[key] = value
    }
}
