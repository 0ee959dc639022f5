import Crypto
import JSON
import TestSupport
import Testing

@testable import Pkarr

@Test("a good packet is read, and written with the same bytes", arguments: Vectors.good)
func goodPacket(_ vector: PacketVector) throws {
    let packet = try SignedPacket(publicKey: vector.publicKey, payload: vector.payload)
    #expect(packet.timestamp == vector.timestamp)
    #expect(packet.message == vector.message)
    #expect(packet.size == Int(vector.object["size"]!.integerValue!))
    #expect(packet.payload == vector.payload)
    #expect(packet.publicKey.bytes + packet.payload == vector.signedPacket)
    #expect(try SignedPacket(json: packet.json) == packet)
}

@Test("records read and written again give the same message, names compressed as real peers do it",
      arguments: Vectors.compressed)
func sameMessage(_ vector: PacketVector) throws {
    #expect(try DNSMessage(wire: vector.message).wire == vector.message)
}

@Test("a bad packet is refused for its own reason", arguments: Vectors.undecodable)
func badPacket(_ vector: PacketVector) throws {
    let bytes = vector.signedPacket
    let key = try #require(PublicKey(bytes: bytes.prefix(32)))
    let error = try thrownError(SignedPacketError.self) { try SignedPacket(publicKey: key, payload: bytes.dropFirst(32)) }
    let kind = switch error {
    case .tooShort: "TooShort"
    case .tooLong: "PacketTooLarge"
    case .badSignature: "BadSignature"
    case .badMessage: "BadDns"
    case .timestampOutOfRange: "timestamp"
    }
    #expect(.string(kind) == vector.object["error"])
}

@Test("packets that real iroh published are read, and written with the same bytes")
func realIrohPackets() throws {
    for entry in Vectors.extra["real_iroh"]!.arrayValue!.map({ $0.objectValue! }) {
        let payload = bytes(hexadecimal: entry["relay_payload_hex"]!.stringValue!)!
        let packet = try SignedPacket(publicKey: PublicKey(zBase32: entry["z32"]!.stringValue!)!, payload: payload)
        #expect(packet.payload == payload)
        #expect(DNSMessage(answers: packet.records).wire == packet.message)
    }
}

@Test("what is signed is BEP 44's form")
func signableBytes() {
    let entry = Vectors.extra["signable"]!.arrayValue![0].objectValue!
    let value = Array(entry["v"]!.stringValue!.utf8)
    #expect(SignedPacket.signable(timestamp: 4, message: value) == Array(entry["signable"]!.stringValue!.utf8))
}

@Test("at equal timestamps the greater message is the more recent one")
func moreRecent() throws {
    let packets = try ["same-timestamp-a", "one-a-record"].map { name in
        let vector = Vectors.packets.first { $0.object["name"] == .string(name) }!
        return try SignedPacket(publicKey: vector.publicKey, payload: vector.payload)
    }
    let (a, later) = (packets[0], packets[1])
    let b = try SignedPacket(
        signing: DNSMessage(answers: a.records.map { record in
            var record = record
            record.rdata = [1, UInt8(ascii: "b")]
            return record
        }), timestamp: a.timestamp, with: SecretKey(seed: [UInt8](repeating: 0, count: 32))!)
    #expect(b.isMoreRecent(than: a) && !a.isMoreRecent(than: b))
    #expect(!a.isMoreRecent(than: a))
    #expect(later.isMoreRecent(than: b))
}

@Test("a timestamp beyond BEP 44's signed number is refused")
func timestampRange() {
    let key = SecretKey.generate()
    #expect(throws: SignedPacketError.timestampOutOfRange(1 << 63)) {
        try SignedPacket(signing: DNSMessage(answers: []), timestamp: 1 << 63, with: key)
    }
}
