import Crypto
import HTTPClient
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
        {"public_key":"\(secret.publicKey.zBase32)","timestamp":5,"stored":true,"newer":null,"conflicts":["192.0.2.1:2","http://b"],"unmerged":[],"confirmed":null,
         "dht":{"lookup":"complete","asked":0,"answered":0,"stored":["192.0.2.1:1"],
                "refused":[{"node":"192.0.2.1:2","code":302,"message":"old sequence number"}],"silent":1,
                "nodes":[{"address":"192.0.2.1:1","node_id":"\(node(1).id)","outcome":"stored"},
                         {"address":"192.0.2.1:2","node_id":"\(node(2).id)","outcome":"refused","code":302,"message":"old sequence number"},
                         {"address":"192.0.2.1:3","node_id":"\(node(3).id)","outcome":"silent"}]},
         "relays":[{"url":"http://a","outcome":"stored","status":204,"nodes":3},{"url":"http://b","outcome":"conflict","status":409},
                   {"url":"http://c","outcome":"unreachable","error":"timed out"}]}
        """)
    #expect(JSONValue.object(receipt.json) == expected)
}

@Test("a receipt tells of each node what it had before, and how long it took")
func prior() {
    let (old, ours) = (packet(4), packet(5))
    let findings: [LookupOutcome.Finding] = [
        .holding(.nothing), .holding(.item(MutableItem(old))), .holding(.notNewer(sequence: 3)), .holding(.flawed(.badSignature)),
        .holding(.item(MutableItem(ours))),
    ]
    var outcome = put([.stored, .stored, .stored, tooOld, .timedOut])
    for (index, finding) in findings.enumerated() {
        outcome.lookup.nodes.append(LookupOutcome.Node(address: outcome.nodes[index].node.address, id: outcome.nodes[index].node.id, finding: finding))
    }
    outcome.nodes[0].roundTrip = .microseconds(1500)
    let nodes = Receipt(packet: ours, dht: outcome, relays: []).nodes
    #expect(nodes.map(\.word) == ["stored", "stored", "stored", "refused", "silent"])
    #expect(nodes[0].json["had"] == .null && nodes[0].json["round_trip_ms"] == .real(1.5))
    #expect(nodes[1].json["had"] == .object(JSONObject(members: [
        ("timestamp", 4), ("size", .integer(Int64(old.size))), ("hash", .string(old.messageHash)),
    ])))
    #expect(nodes[2].json["had"] == .object(JSONObject(members: [("timestamp", 3)])))
    #expect(nodes[3].json["had"] == nil)
    #expect(nodes[4].had == .item(Receipt.Item(timestamp: 5, message: ours.message)))
}

@Test("where something newer kept the packet back, the nodes that have an item are told of")
func notAsked() {
    var outcome = put([], newer: packet(9))
    outcome.lookup.nodes = [
        LookupOutcome.Node(address: node(1).address, id: node(1).id, roundTrip: .milliseconds(2), finding: .holding(.item(MutableItem(packet(9))))),
        LookupOutcome.Node(address: node(2).address, id: node(2).id, finding: .holding(.nothing)),
    ]
    let nodes = Receipt(packet: packet(5), dht: outcome, relays: []).nodes
    #expect(nodes.map(\.word) == ["not-asked"])
    #expect(nodes[0].json["had"]?.objectValue?["timestamp"] == 9)
    #expect(nodes[0].roundTrip == .milliseconds(2))
}

@Test("a page to which a PUT was sent on is not where the packet is stored")
func elsewhere() {
    let page = HTTPResponse(status: 200, redirectedTo: "http://portal/login")
    #expect(PutVerdict(page) == .elsewhere(url: "http://portal/login"))
    #expect(PutVerdict(HTTPResponse(status: 204, redirectedTo: "http://moved/")) == .stored(nodes: nil))
}

@Test("of what a relay says about an error one line is kept, and no page")
func relayWords() {
    func words(_ status: Int, _ body: String) -> String? { HTTPResponse(status: status, body: Array(body.utf8)).words }
    #expect(words(409, "there is a newer packet\nand more") == "there is a newer packet")
    #expect(words(500, String(repeating: "x", count: 1000))?.count == 200)
    #expect(words(502, "<html>Bad gateway</html>") == nil)
    #expect(words(204, "fine") == nil && words(400, "") == nil)
    #expect(HTTPResponse(status: 400, body: [0xff]).words == nil)
}
