/// Where a hostile client takes its decisions from: a generator, or the bytes of a fuzzer.
public protocol Choices {
    /// A number below `bound`.
    mutating func next(_ bound: Int) -> Int
    /// Whether there is nothing more to decide on.
    var isOver: Bool { get }
}

extension Choices {
    /// True once in `times`.
    mutating func once(in times: Int) -> Bool { next(times) == 0 }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(next(256)) } }
    mutating func element<Element>(of array: [Element]) -> Element? { array.isEmpty ? nil : array[next(array.count)] }
    /// One of the last few, most often the last.
    mutating func recent<Element>(of array: [Element]) -> Element? {
        array.isEmpty ? nil : once(in: 3) ? array[next(array.count)] : once(in: 3) ? array[max(0, array.count - 1 - next(4))] : array[array.count - 1]
    }
}

/// The same decisions each time (xorshift64*).
public struct SeededChoices: Choices {
    private var state: UInt64

    /// - Parameter seed: Not 0.
    public init(seed: UInt64) { state = seed }

    public let isOver = false

    public mutating func next(_ bound: Int) -> Int {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return Int((state &* 0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}

/// Decisions that a fuzzer takes: a byte each, two where a byte is too small.
public struct GivenChoices: Choices {
    private var rest: ArraySlice<UInt8>

    public init(_ bytes: [UInt8]) { rest = bytes[...] }

    public var isOver: Bool { rest.isEmpty }

    public mutating func next(_ bound: Int) -> Int {
        var value = Int(rest.popFirst() ?? 0)
        if bound > 256 { value = value << 8 | Int(rest.popFirst() ?? 0) }
        return value % bound
    }
}
