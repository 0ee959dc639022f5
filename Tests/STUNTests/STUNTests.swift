import Platform
import Testing

@testable import STUN

private let request: [UInt8] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]

@Test("a server's answer is RFC 5769's, address for address", arguments: [
    ("192.0.2.1:32853", [0, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]),
    ("[2001:db8:1234:5678:11:2233:4455:6677]:32853",
     [0, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9]),
] as [(String, [UInt8])])
func answers(_ address: String, _ value: [UInt8]) throws {
    let answer = try #require(STUNMessage.answer(to: request, from: SocketAddress(address)!))
    #expect(Array(answer.prefix(20)) == [1, 1, 0, UInt8(value.count + 4)] + request[4...])
    #expect(Array(answer.dropFirst(20)) == [0, 0x20, 0, UInt8(value.count)] + value)
    #expect(try STUNMessage(decoding: answer).mappedAddress == SocketAddress(address)!)
}

@Test("a fingerprint is checked, and answered with one")
func fingerprint() throws {
    var asked = STUNMessage.bindingRequest(transaction: [UInt8](0..<12)).encoded
    let answer = try #require(STUNMessage.answer(to: asked, from: SocketAddress("1.2.3.4:5")!))
    #expect(try STUNMessage(decoding: answer).hasFingerprint)
    #expect(try STUNMessage(decoding: answer).mappedAddress == SocketAddress("1.2.3.4:5")!)
    asked[asked.count - 1] ^= 1
    #expect(STUNMessage.answer(to: asked, from: SocketAddress("1.2.3.4:5")!) == nil)
}

@Test("what a request must not leave unknown is named, what it may is passed over")
func unknownAttributes() throws {
    let transaction = [UInt8](0..<12)
    var asked = STUNMessage(.bindingRequest, transaction: transaction, attributes: [.init(type: 0x8022, value: Array("x".utf8))])
    #expect(try STUNMessage(decoding: STUNMessage.answer(to: asked.encoded, from: SocketAddress("1.2.3.4:5")!)!).kind == .bindingSuccess)
    asked.attributes.append(.init(type: 0x7001, value: []))
    let answer = try STUNMessage(decoding: STUNMessage.answer(to: asked.encoded, from: SocketAddress("1.2.3.4:5")!)!)
    #expect(answer.kind == .bindingError)
    #expect(answer.attributes == [.init(type: 9, value: [0, 0, 4, 20]), .init(type: 10, value: [0x70, 0x01])])
}

@Test("nothing but a request is answered, so that two servers never answer each other")
func silence() {
    let source = SocketAddress("1.2.3.4:5")!
    let success = STUNMessage.answer(to: request, from: source)!
    for datagram in [[], Array(request.dropLast()), request + [0, 0, 0, 0], success, [0x11] + request.dropFirst(), [0x40] + request.dropFirst()] {
        #expect(STUNMessage.answer(to: datagram, from: source) == nil)
    }
    var wrongCookie = request
    wrongCookie[4] = 0
    #expect(STUNMessage.answer(to: wrongCookie, from: source) == nil)
    // An attribute that goes on beyond the end.
    #expect(STUNMessage.answer(to: [0, 1, 0, 4] + request[4...] + [0x80, 1, 0, 1], from: source) == nil)
}

private let servers = ["192.0.2.1:3478", "192.0.2.2:3478"].map { SocketAddress($0)! }
private let start = Instant(nanoseconds: 1_000_000_000)

private func take(_ client: inout STUNClient, _ datagram: [UInt8], from server: SocketAddress) -> STUNClient.Outcome? {
    datagram.withUnsafeBytes { client.take($0, from: server) }
}

private func nextRequest(of client: inout STUNClient) throws -> (datagram: [UInt8], server: SocketAddress) {
    let request = client.nextRequest(now: start)
    return try #require(request)
}

@Test("a request is sent three times, each wait twice the one before, and then given up")
func retransmission() {
    var client = STUNClient()
    client.ask(servers.prefix(1), now: start)
    var sent: [Duration] = []
    var datagrams: Set<[UInt8]> = []
    while let deadline = client.deadline {
        while let request = client.nextRequest(now: deadline) {
            sent.append(deadline - start)
            datagrams.insert(request.datagram)
        }
    }
    #expect(sent == [.zero, .milliseconds(250), .milliseconds(750)])
    #expect(datagrams.count == 1)
    #expect(!client.isAsking)
}

@Test("an answer counts once, from the server that was asked, with the transaction that it was asked in")
func clientAnswers() throws {
    var client = STUNClient()
    client.ask(servers, now: start)
    let first = try nextRequest(of: &client), second = try nextRequest(of: &client)
    #expect([first.server, second.server] == servers)
    let seen = SocketAddress("203.0.113.9:61000")!
    let answer = STUNMessage.answer(to: first.datagram, from: seen)!
    #expect(take(&client, answer, from: servers[1]) == nil)
    #expect(take(&client, first.datagram, from: servers[0]) == nil)
    #expect(take(&client, Array(answer.dropLast()), from: servers[0]) == nil)
    #expect(take(&client, STUNMessage.answer(to: second.datagram, from: seen)!, from: servers[0]) == nil)
    #expect(take(&client, answer, from: servers[0]) == .mapped(seen))
    #expect(take(&client, answer, from: servers[0]) == nil)
    #expect(client.isAsking)
    let again = client.nextRequest(now: start + .milliseconds(250))
    #expect(again?.server == servers[1])
}

@Test("an answer of an earlier round, an error and an address that can't be ours tell nothing")
func uselessAnswers() throws {
    var client = STUNClient()
    client.ask(servers, now: start)
    let late = try nextRequest(of: &client)
    client.ask(servers, now: start)
    #expect(take(&client, STUNMessage.answer(to: late.datagram, from: servers[0])!, from: servers[0]) == nil)
    for source in ["[2001:db8::1]:5", "203.0.113.9:0", "169.254.1.1:5"] {
        client.ask(servers, now: start)
        let request = try nextRequest(of: &client)
        #expect(take(&client, STUNMessage.answer(to: request.datagram, from: SocketAddress(source)!)!, from: request.server) == .refused)
    }
    client.ask(servers, now: start)
    let request = try nextRequest(of: &client)
    let error = STUNMessage(.bindingError, transaction: Array(request.datagram[8..<20]))
    #expect(take(&client, error.encoded, from: request.server) == .refused)
}
