import Crypto
import JSON
import Platform
import Testing

@testable import Iroh

private let vectors = try! JSONValue(parsing: vectorFile("endpoint-tickets.json")).arrayValue!.map { $0.objectValue! }
private let key = SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))!.publicKey

@Test("tickets of the real library are read", arguments: 0..<4)
func realTickets(_ index: Int) throws {
    let vector = vectors[index]
    let address = try EndpointTicket.address(vector["ticket"]!.stringValue!)
    #expect(address.id == key)
    #expect(address.relayURLs.map(\.description) == (vector["relay"]!.stringValue.map { [$0] } ?? []))
    #expect(try address.addresses.map(\.description) == vector.strings("addrs"))
    #expect(address.userData == nil)
}

private func ticket(_ bytes: [UInt8]) -> String { "endpoint" + Base32Alphabet.rfc4648LowerCase.encode(bytes) }

@Test("an address of an application's own transport is passed over")
func customTransport() throws {
    let bytes = [0] + key.bytes + [2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 3, 1, 2, 3, 1, 0, 1, 2, 3, 4, 80]
    let address = try EndpointTicket.address(ticket(bytes))
    #expect(address == EndpointAddress(id: key, addresses: [SocketAddress("1.2.3.4:80")!]))
}

@Test("what is no ticket is refused for its own reason")
func badTickets() {
    let good = [0] + key.bytes + [1, 1, 0, 1, 2, 3, 4, 80]
    let cases: [(String, EndpointTicketError)] = [
        ("", .notATicket), ("Endpoint", .notATicket), ("endpoint!", .notATicket), ("endpoint", .malformed),
        (ticket([1] + good.dropFirst()), .unknownVariant(1)),
        (ticket([0] + [UInt8](repeating: 2, count: 32) + [0]), .badKey),
        (ticket(good + [0]), .malformed), (ticket(good.dropLast()), .malformed), (ticket(good.dropLast() + [0]), .malformed),
        (ticket([0] + key.bytes + [1, 3]), .malformed), (ticket([0] + key.bytes + [1, 0, 1, 0x78]), .malformed),
        (ticket([0] + key.bytes + [UInt8](repeating: 0xff, count: 9) + [2]), .malformed),
    ]
    for (text, expected) in cases { #expect(throws: expected) { try EndpointTicket.address(text) } }
}
