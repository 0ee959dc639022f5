import Platform
import Testing

@testable import PortMapping

private let request = PCPMapping.Request(
    nonce: [UInt8](1...12), client: SocketAddress("192.168.1.2:4433")!, suggested: SocketAddress("203.0.113.9:61000")!, lifetime: 7200)

/// The answer of a router that gives what is asked for.
private func granted() -> [UInt8] {
    var bytes = request.encoded
    bytes[1] = 0x81
    // Where the client's address stands in a request, there is the epoch in an answer.
    bytes.replaceSubrange(8..<24, with: [0, 0, 1, 0] + [UInt8](repeating: 0, count: 12))
    return bytes
}

@Test("a request has each field where RFC 6887 has it")
func requestLayout() {
    let bytes = request.encoded
    let mapped: [UInt8] = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]
    #expect(bytes.count == PCPMapping.requestLength)
    #expect(Array(bytes[..<8]) == [2, 1, 0, 0, 0, 0, 0x1c, 0x20])
    #expect(Array(bytes[8..<24]) == mapped + [192, 168, 1, 2])
    #expect(Array(bytes[24..<36]) == request.nonce)
    #expect(Array(bytes[36..<44]) == [17, 0, 0, 0, 0x11, 0x51, 0xee, 0x48])
    #expect(Array(bytes[44...]) == mapped + [203, 0, 113, 9])
}

@Test("an answer tells the external address, for how long, and the router's clock")
func answer() {
    let grant = MappingGrant(external: SocketAddress("203.0.113.9:61000")!, lifetime: 7200, epoch: 256)
    #expect(PCPMapping.answer(granted(), to: request) == .granted(grant))
    #expect(PCPMapping.answer(granted() + [1, 0, 0, 0], to: request) == .granted(grant))
}

@Test("what answers something else is no answer", arguments: [0, 1, 24, 35, 36, 40, 41])
func othersAnswers(_ offset: Int) {
    var bytes = granted()
    bytes[offset] ^= 1
    #expect(PCPMapping.answer(bytes, to: request) == nil || offset == 0)
    #expect(PCPMapping.answer(Array(granted().dropLast()), to: request) == nil)
    #expect(PCPMapping.answer(request.encoded, to: request) == nil)
}

@Test("a router that is asked for nothing shows that it speaks PCP, or what else it speaks")
func announcement() {
    let question = PCPMapping.announcement(from: request.client.ip)
    #expect(question == [2, 0, 0, 0, 0, 0, 0, 0] + request.encoded[8..<24])
    var answer = question
    #expect(PCPMapping.isSpoken(answer) == nil)
    answer[1] = 0x80
    #expect(PCPMapping.isSpoken(answer) == true)
    answer[3] = 1
    #expect(PCPMapping.isSpoken(answer) == false)
    #expect(PCPMapping.isSpoken([0, 0x80, 0, 1, 0, 0, 0, 9]) == false)
    #expect(PCPMapping.isSpoken(Array(answer.dropLast())) == nil)
}

@Test("an error is told in words, and whether another port need not be asked for")
func errors() {
    var bytes = granted()
    bytes[3] = 8
    #expect(PCPMapping.answer(bytes, to: request) == .refused(MappingRefusal("the router has no port left")))
    bytes[3] = 200
    #expect(PCPMapping.answer(bytes, to: request) == .refused(MappingRefusal("the router refused with code 200")))
    bytes[3] = 4
    #expect(PCPMapping.answer(bytes, to: request) == .refused(MappingRefusal("the router maps no ports", isUnspoken: true)))
    // RFC 6886, section 3.5: what a router says that speaks NAT-PMP only.
    let unspoken = MappingRefusal("not spoken by the router", isUnspoken: true)
    #expect(PCPMapping.answer([0, 0x81, 0, 1, 0, 0, 0, 9], to: request) == .refused(unspoken))
}
