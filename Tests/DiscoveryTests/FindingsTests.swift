import Crypto
import Mainline
import Pkarr
import Platform
import Testing

@testable import Discovery

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 9, count: 32))! }
private let relay = RelayURL("http://relay.example")!

private func packet(_ timestamp: UInt64) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: []), timestamp: timestamp, with: secret)
}

private func node(_ number: Int) -> Contact {
    Contact(id: NodeID(hashing: [UInt8(number)]), address: SocketAddress("192.0.2.\(number):6881")!)
}

private func outcome(_ ending: LookupOutcome.Ending, answers: Int = 1) -> LookupOutcome {
    var outcome = LookupOutcome(ending: ending)
    outcome.nodes = (0..<answers).map {
        LookupOutcome.Node(address: node($0 + 1).address, id: node($0 + 1).id, finding: .holding(.nothing))
    }
    return outcome
}

@Test("eight nodes that hold a packet are enough, seven are not, and a node counts once")
func holders() {
    var findings = Findings(relays: 1, asksDHT: true)
    for number in 1...7 {
        findings.note(MutableItem(packet(1)), from: node(number))
        findings.note(MutableItem(packet(1)), from: node(number))
        #expect(findings.takePacket() == nil)
    }
    findings.note(MutableItem(packet(1)), from: node(8))
    #expect(findings.takePacket() == packet(1))
    #expect(findings.takePacket() == nil)
}

@Test("a more recent packet starts the count anew; an older one does not count")
func newerResetsHolders() {
    var findings = Findings(relays: 0, asksDHT: true)
    for number in 1...7 { findings.note(MutableItem(packet(1)), from: node(number)) }
    findings.note(MutableItem(packet(2)), from: node(8))
    findings.note(MutableItem(packet(1)), from: node(9))
    #expect(findings.takePacket() == nil)
    for number in 11...17 { findings.note(MutableItem(packet(2)), from: node(number)) }
    #expect(findings.takePacket() == packet(2))
}

@Test("a complete look-up is enough, a limited one is not", arguments: [(.complete, true), (.limited, false)] as [(LookupOutcome.Ending, Bool)])
func completeLookup(ending: LookupOutcome.Ending, isEnough: Bool) {
    var findings = Findings(relays: 1, asksDHT: true)
    findings.note(MutableItem(packet(1)), from: node(1))
    findings.note(outcome(ending))
    #expect((findings.takePacket() != nil) == isEnough)
}

@Test("more than half of the relays and at least two are enough", arguments: [(1, 1, false), (2, 1, false), (2, 2, true), (3, 1, false), (3, 2, true), (4, 2, false), (4, 3, true)])
func relayMajority(relays: Int, answered: Int, isEnough: Bool) {
    var findings = Findings(relays: relays, asksDHT: true)
    for _ in 0..<answered { findings.note(.packet(packet(1)), from: relay) }
    #expect((findings.takePacket() != nil) == isEnough)
}

@Test("a relay without a usable answer does not count, until all have come to an end")
func unusableRelays() {
    var findings = Findings(relays: 3, asksDHT: false)
    findings.note(.unusable(reason: "timed out"), from: relay)
    findings.note(.packet(packet(1)), from: relay)
    #expect(findings.takePacket() == nil)
    findings.note(.unusable(reason: "status 500"), from: relay)
    #expect(findings.takePacket() == packet(1))
    #expect(findings.pending == 0)
    #expect(findings.resolution.answered == 1)
    #expect(findings.resolution.failures.map(\.reason) == ["timed out", "status 500"])
}

@Test("after the first packet each more recent one is given out at once, an older one never")
func laterPackets() {
    var findings = Findings(relays: 3, asksDHT: true)
    findings.note(.packet(packet(5)), from: relay)
    findings.note(.nothing(invalidSequence: nil), from: relay)
    #expect(findings.takePacket() == packet(5))
    findings.note(MutableItem(packet(4)), from: node(1))
    #expect(findings.takePacket() == nil)
    findings.note(MutableItem(packet(6)), from: node(1))
    #expect(findings.takePacket() == packet(6))
}

@Test("a signed item that is no packet is reported, not given out")
func invalidItem() {
    let value: [UInt8] = [1, 2, 3]
    let item = MutableItem(key: secret.publicKey, sequence: 9, signature: secret.sign(SignedPacket.signable(timestamp: 9, message: value)), value: value)
    var findings = Findings(relays: 1, asksDHT: true)
    findings.note(item, from: node(1))
    findings.note(outcome(.complete))
    findings.note(.nothing(invalidSequence: 8), from: relay)
    #expect(findings.takePacket() == nil)
    #expect(findings.resolution.invalidSequence == 9)
    #expect(findings.resolution.answered == 2)
}

@Test("a DHT that is silent is a failure with its reason", arguments: [LookupOutcome.Ending.nobodyToAsk, .noAnswer, .overloaded])
func silentDHT(ending: LookupOutcome.Ending) {
    var findings = Findings(relays: 0, asksDHT: true)
    findings.note(outcome(ending, answers: 0))
    #expect(findings.resolution.answered == 0)
    #expect(findings.resolution.failures.map(\.reason) == [ending.problem])
}
