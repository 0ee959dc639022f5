import Crypto
import JSON
import Mainline
import Pkarr
import Platform
import Testing

@testable import Discovery

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 7, count: 32))! }

private func packet(_ timestamp: UInt64) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: []), timestamp: timestamp, with: secret)
}

private func node(_ port: UInt16) -> Contact {
    Contact(id: NodeID(hashing: [UInt8(port)]), address: SocketAddress("192.0.2.1:\(port)")!)
}

private func put(_ results: [PutOutcome.Result], newer: SignedPacket? = nil) -> PutOutcome {
    var outcome = PutOutcome(lookup: LookupOutcome(ending: .complete), newer: newer.map { MutableItem($0) })
    outcome.nodes = results.enumerated().map { PutOutcome.Node(node: node(UInt16($0.offset + 1)), result: $0.element) }
    return outcome
}

private let tooOld = PutOutcome.Result.refused(KRPCError(code: 302, text: "old sequence number"))
private let mismatch = PutOutcome.Result.refused(KRPCError(code: 301, text: "cas"))
private let tooBig = PutOutcome.Result.refused(KRPCError(code: 205, text: "message too big"))

@Test("one node or one relay is enough to be stored")
func stored() {
    #expect(Receipt(packet: packet(1), dht: put([.timedOut, .stored]), relays: []).isStored)
    #expect(!Receipt(packet: packet(1), dht: put([.timedOut, tooBig]), relays: []).isStored)
    let relay = Receipt.Relay(url: RelayURL("http://a")!, publication: .init(outcome: .stored, status: 204))
    #expect(Receipt(packet: packet(1), dht: nil, relays: [relay]).isStored)
}

@Test("overtaken is what a verified newer packet or most of the answering nodes say, not what one node claims")
func overtaken() {
    func receipt(_ results: [PutOutcome.Result], newer: SignedPacket? = nil) -> Receipt { Receipt(packet: packet(5), dht: put(results, newer: newer), relays: []) }
    #expect(receipt([], newer: packet(6)).isOvertaken)
    #expect(receipt([], newer: packet(6)).newer == 6)
    #expect(!receipt([.stored, .stored, tooOld]).isOvertaken)
    #expect(receipt([.stored, .stored, tooOld]).hasConflicts)
    #expect(!receipt([.stored, tooOld]).isOvertaken)
    #expect(receipt([.stored, tooOld, mismatch, .timedOut, .timedOut]).isOvertaken)
    #expect(!receipt([]).isOvertaken)
    #expect(!receipt([tooBig, tooBig]).isOvertaken)
}

@Test("the newest of all newer packets is named")
func newest() {
    let relay = Receipt.Relay(url: RelayURL("http://a")!, publication: .init(outcome: .overtaken, status: 409, newer: packet(9)))
    #expect(Receipt(packet: packet(1), dht: put([], newer: packet(4)), relays: [relay]).newer == 9)
}

@Test("a receipt shows nodes, relays and conflicts")
func receiptObject() throws {
    let relays = [
        Receipt.Relay(url: RelayURL("http://a")!, publication: .init(outcome: .stored, status: 204, nodes: 3)),
        Receipt.Relay(url: RelayURL("http://b")!, publication: .init(outcome: .conflict, status: 409)),
        Receipt.Relay(url: RelayURL("http://c")!, publication: .init(outcome: .unreachable, error: "timed out")),
    ]
    let receipt = Receipt(packet: packet(5), dht: put([.stored, tooOld, .timedOut]), relays: relays)
    let expected = try JSONValue(parsing: """
        {"public_key":"\(secret.publicKey.zBase32)","timestamp":5,"stored":true,"newer":null,"conflicts":["192.0.2.1:2","http://b"],
         "dht":{"lookup":"complete","asked":0,"answered":0,"stored":["192.0.2.1:1"],
                "refused":[{"node":"192.0.2.1:2","code":302,"message":"old sequence number"}],"silent":1},
         "relays":[{"url":"http://a","outcome":"stored","status":204,"nodes":3},{"url":"http://b","outcome":"conflict","status":409},
                   {"url":"http://c","outcome":"unreachable","error":"timed out"}]}
        """)
    #expect(JSONValue.object(receipt.json) == expected)
}
