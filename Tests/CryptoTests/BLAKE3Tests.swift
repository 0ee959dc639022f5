import Testing

@testable import Crypto

@Test("BLAKE3 derives the keys that its reference derives", arguments: [
    // (context, bytes of 0, 1, 2… as material, key)
    ("BLAKE3 2019-12-27 16:29:52 test vectors context", 0, "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
    ("BLAKE3 2019-12-27 16:29:52 test vectors context", 1, "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
    ("BLAKE3 2019-12-27 16:29:52 test vectors context", 64, "a5c4a7053fa86b64746d4bb688d06ad1f02a18fce9afd3e818fefaa7126bf73e"),
])
func derivedKeys(_ context: String, _ count: Int, _ key: String) {
    #expect(hexadecimal(BLAKE3.deriveKey(context: context, material: (0..<count).map { UInt8($0) })) == key)
}
