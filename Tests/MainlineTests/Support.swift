import Crypto
import Platform
@testable import Mainline

/// A message as text with `\xNN` and `\\` escapes, the way the recorded exchanges write it.
func unescaped(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "\\") else { bytes.append(byte); continue }
        switch rest.popFirst() {
        case UInt8(ascii: "x"):
            let digits = String(rest.prefix(2))!
            rest = rest.dropFirst(2)
            bytes.append(UInt8(digits, radix: 16)!)
        case UInt8(ascii: "n"): bytes.append(10)
        case UInt8(ascii: "r"): bytes.append(13)
        case UInt8(ascii: "t"): bytes.append(9)
        case let other?: bytes.append(other)
        case nil: break
        }
    }
    return bytes
}

func signedItem(_ key: SecretKey, sequence: Int64, value: [UInt8], salt: [UInt8] = []) -> MutableItem {
    let encoded = Bencode.string(value).encoded
    let signature = key.sign(MutableItem.signedBytes(salt: salt, sequence: sequence, encodedValue: encoded))
    return MutableItem(key: key.publicKey, salt: salt, sequence: sequence, signature: signature, encodedValue: encoded)
}

func address(_ text: String) -> SocketAddress { SocketAddress(text)! }

/// Random numbers that are the same each time (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
