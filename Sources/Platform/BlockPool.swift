/// Blocks of memory for stream data, reused so that the data path allocates nothing.
public final class BlockPool {
    /// Bytes of a block: what one read from a socket is likely to bring.
    public static let blockSize = 64 << 10
    /// Idle blocks kept, 4 MiB; more go back to the system.
    private static let kept = 64

    private var free: [UnsafeMutableRawPointer] = []

    public init() {}

    /// A block, which has to be given back.
    public func take() -> UnsafeMutableRawPointer { free.popLast() ?? .allocate(byteCount: Self.blockSize, alignment: 64) }

    public func give(_ block: UnsafeMutableRawPointer) {
        if free.count < Self.kept { free.append(block) } else { block.deallocate() }
    }

    deinit { for block in free { block.deallocate() } }
}
