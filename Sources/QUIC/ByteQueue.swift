import Glibc
import Platform

/// Bytes in order, in blocks of a pool: appended at the end, dropped at the front, with a cursor for what has been sent but not dropped.
struct ByteQueue: ~Copyable {
    private struct Block {
        var memory: UnsafeMutableRawPointer
        var start = 0
        var end = 0
    }

    private let pool: BlockPool
    private var blocks: [Block] = []
    /// Where the unsent bytes begin: a block and a place in it.
    private var cursorBlock = 0
    private var cursorOffset = 0
    private(set) var count = 0
    /// Bytes after the cursor.
    private(set) var unsent = 0

    init(pool: BlockPool) { self.pool = pool }

    deinit { for block in blocks { pool.give(block.memory) } }

    /// Copies bytes to the end.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let taken = withFreeSpace { space in
                let count = min(space.count, rest.count)
                memcpy(space.baseAddress!, rest.baseAddress!, count)
                return count
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
        }
    }

    /// Lets `body` write to the free space behind the end and say how many bytes it wrote.
    @discardableResult
    mutating func withFreeSpace(_ body: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        if blocks.isEmpty || blocks[blocks.count - 1].end == BlockPool.blockSize { blocks.append(Block(memory: pool.take())) }
        let last = blocks.count - 1
        let end = blocks[last].end
        let written = body(UnsafeMutableRawBufferPointer(start: blocks[last].memory + end, count: BlockPool.blockSize - end))
        blocks[last].end = end + written
        count += written
        unsent += written
        if written == 0 && blocks[last].start == blocks[last].end { removeBlock(last) }
        return written
    }

    /// Fills `vectors` with the bytes from the front, or from the cursor; returns how many vectors are used.
    func fill(_ vectors: UnsafeMutableBufferPointer<iovec>, fromCursor: Bool) -> Int {
        var used = 0
        var index = fromCursor ? cursorBlock : 0
        while used < vectors.count, index < blocks.count {
            let block = blocks[index]
            let start = fromCursor && index == cursorBlock ? max(block.start, cursorOffset) : block.start
            if block.end > start {
                vectors[used] = iovec(iov_base: block.memory + start, iov_len: block.end - start)
                used += 1
            }
            index += 1
        }
        return used
    }

    /// Moves the cursor over bytes that have been sent.
    mutating func advance(_ sent: Int) {
        var rest = sent
        unsent -= sent
        while rest > 0 {
            let block = blocks[cursorBlock]
            let start = max(block.start, cursorOffset)
            let step = min(rest, block.end - start)
            cursorOffset = start + step
            rest -= step
            if cursorOffset == BlockPool.blockSize {
                cursorBlock += 1
                cursorOffset = 0
            } else if step == 0 {
                return
            }
        }
    }

    /// Drops bytes at the front.
    mutating func drop(_ dropped: Int) {
        var rest = dropped
        count -= dropped
        while rest > 0, let first = blocks.first {
            let step = min(rest, first.end - first.start)
            blocks[0].start += step
            rest -= step
            if blocks[0].start == blocks[0].end, blocks[0].end == BlockPool.blockSize || count == 0 { removeBlock(0) }
        }
        unsent = min(unsent, count)
    }

    /// Drops everything.
    mutating func removeAll() {
        for block in blocks { pool.give(block.memory) }
        blocks.removeAll()
        (cursorBlock, cursorOffset, count, unsent) = (0, 0, 0, 0)
    }

    private mutating func removeBlock(_ index: Int) {
        pool.give(blocks[index].memory)
        blocks.remove(at: index)
        if index < cursorBlock {
            cursorBlock -= 1
        } else if index == cursorBlock {
            cursorOffset = 0
        }
    }
}
