/// The part of BLAKE3 that short secrets need: deriving a key from material for a purpose (BLAKE3 specification, 2.3 "derive_key").
public enum BLAKE3 {
    /// Bytes of a block: context and material are one at most, so each takes one call of the compression function.
    public static let blockLength = 64

    /// - Parameters:
    ///   - context: What the key is for, at most 64 bytes of UTF-8.
    ///   - material: At most 64 bytes.
    /// - Returns: 32 bytes.
    public static func deriveKey(context: String, material: some Collection<UInt8>) -> [UInt8] {
        let contextKey = oneBlock(Array(context.utf8), key: initialValue, flags: 1 << 5)
        return oneBlock(Array(material), key: contextKey, flags: 1 << 6).flatMap { word in withUnsafeBytes(of: word.littleEndian, Array.init) }
    }

    private static let initialValue: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private static let permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
    /// The whole input is one chunk of one block, and the root of its tree: CHUNK_START, CHUNK_END, ROOT.
    private static let onlyBlock: UInt32 = 1 | 2 | 8

    /// The compression function on the only block of an input (2.2), and the eight words of its output.
    private static func oneBlock(_ input: [UInt8], key: [UInt32], flags: UInt32) -> [UInt32] {
        precondition(input.count <= blockLength)
        var words = [UInt32](repeating: 0, count: blockLength / 4)
        for (index, byte) in input.enumerated() { words[index / 4] |= UInt32(byte) << UInt32(index % 4 * 8) }
        var state = key
        state += initialValue.prefix(4)
        state += [0, 0, UInt32(input.count), flags | onlyBlock]
        for round in 0..<7 {
            if round > 0 { words = permutation.map { words[$0] } }
            for column in 0..<4 {
                mix(&state, [column, 4 + column, 8 + column, 12 + column], words[2 * column], words[2 * column + 1])
            }
            for diagonal in 0..<4 {
                let rows = [diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4]
                mix(&state, rows, words[8 + 2 * diagonal], words[9 + 2 * diagonal])
            }
        }
        return (0..<8).map { state[$0] ^ state[$0 + 8] }
    }

    private static func mix(_ state: inout [UInt32], _ rows: [Int], _ first: UInt32, _ second: UInt32) {
        let (a, b, c, d) = (rows[0], rows[1], rows[2], rows[3])
        for (word, turns) in [(first, (16, 12)), (second, (8, 7))] as [(UInt32, (UInt32, UInt32))] {
            state[a] = state[a] &+ state[b] &+ word
            state[d] = rotateRight(state[d] ^ state[a], by: turns.0)
            state[c] = state[c] &+ state[d]
            state[b] = rotateRight(state[b] ^ state[c], by: turns.1)
        }
    }

    private static func rotateRight(_ word: UInt32, by bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }
}
