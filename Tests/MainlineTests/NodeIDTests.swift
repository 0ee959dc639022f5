import Crypto
import Platform
import Testing
@testable import Mainline

/// BEP 42's own examples: address, random number, the 21 leading bits as far as whole digits show them, the id.
private let bep42: [(String, UInt8, String)] = [
    ("124.31.75.21", 1, "5fbfbf"), ("21.75.31.124", 86, "5a3ce9"), ("65.23.51.170", 22, "a5d432"), ("84.124.73.14", 65, "1b0321"),
    ("43.213.53.83", 90, "e56f6c"),
]

@Test("ids made for an address begin as BEP 42's examples do", arguments: bep42)
func idForAddress(address: String, random: UInt8, prefix: String) throws {
    let ip = try #require(IPAddress(address))
    let id = NodeID(for: ip, random: [UInt8](repeating: 0x5a, count: 19) + [random])
    let digits = bytes(hexadecimal: prefix)!
    #expect(id.bytes[0] == digits[0] && id.bytes[1] == digits[1] && id.bytes[2] >> 3 == digits[2] >> 3)
    #expect(id.bytes[2] & 7 == 0x5a & 7 && Array(id.bytes[3..<19]) == [UInt8](repeating: 0x5a, count: 16) && id.bytes[19] == random)
    #expect(id.isValid(for: ip))
}

@Test("BEP 42's example ids are valid for their address and for no other", arguments: [
    ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"), ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
    ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"), ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
    ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
])
func exampleIDs(address: String, id: String) throws {
    let id = NodeID(bytes(hexadecimal: id)!)!
    #expect(id.isValid(for: IPAddress(address)!))
    #expect(!id.isValid(for: IPAddress("8.8.8.8")!))
    #expect(id.isValid(for: IPAddress("192.168.1.2")!) && id.isValid(for: IPAddress("127.0.0.1")!) && id.isValid(for: IPAddress("fe80::1")!))
}

@Test("CRC-32C of the usual check string is the usual check value")
func checksum() { #expect(crc32c("123456789".utf8) == 0xe306_9283) }

@Test("distance is XOR, and common prefixes are counted over all 160 bits")
func distance() {
    let zero = NodeID([UInt8](repeating: 0, count: 20))!
    for bit in 0..<160 {
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes[bit / 8] = 0x80 >> (bit % 8)
        let id = NodeID(bytes)!
        #expect(id.bytes == bytes)
        #expect(id.commonPrefix(with: zero) == bit)
        if bit > 0 {
            var nearer = [UInt8](repeating: 0, count: 20)
            for lower in bit..<160 { nearer[lower / 8] |= 0x80 >> (lower % 8) }
            var farther = [UInt8](repeating: 0, count: 20)
            farther[(bit - 1) / 8] = 0x80 >> ((bit - 1) % 8)
            #expect(NodeID(nearer)!.distance(to: zero) < NodeID(farther)!.distance(to: zero))
        }
    }
    #expect(zero.commonPrefix(with: zero) == 160)
    #expect(NodeID([1]) == nil)
}
