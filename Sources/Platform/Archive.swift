/// Keeps values by key beyond the memory and the life of a process, as long as there is room for them.
///
/// It is no authority: values may be gone at any time, and whoever reads one checks it again.
public protocol Archive: AnyObject {
    /// The value and how long ago it was seen, by the calendar clock.
    func value(for key: [UInt8]) -> (bytes: [UInt8], age: Duration)?

    /// Keeps a value in place of the key's present one.
    ///
    /// - Parameter age: How long ago it was seen.
    func keep(_ bytes: [UInt8], for key: [UInt8], age: Duration)

    func drop(_ key: [UInt8])
}
