import Crypto
import EventLoop
import HTTPClient
import Mainline
import Pkarr
import Platform
import Testing

@testable import Discovery

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 9, count: 32))! }

private func packet(_ timestamp: UInt64 = 5) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: []), timestamp: timestamp, with: secret)
}

private func put(_ results: [PutOutcome.Result], _ ending: LookupOutcome.Ending = .complete, newer: SignedPacket? = nil) -> PutOutcome {
    var outcome = PutOutcome(lookup: LookupOutcome(ending: ending), newer: newer.map { MutableItem($0) })
    outcome.nodes = results.enumerated().map { index, result in
        let contact = Contact(id: NodeID(hashing: [UInt8(index)]), address: SocketAddress("192.0.2.1:\(index + 1)")!)
        return PutOutcome.Node(node: contact, result: result)
    }
    return outcome
}

private func receipt(_ dht: PutOutcome?, _ outcomes: RelayClient.Publication.Outcome...) -> Receipt {
    Receipt(packet: packet(), dht: dht, relays: outcomes.map { .init(url: RelayURL("http://a")!, publication: .init(outcome: $0)) })
}

private let tooBig = PutOutcome.Result.refused(KRPCError(code: 205, text: "message too big"))
private let tooOld = PutOutcome.Result.refused(KRPCError(code: 302, text: "old sequence number"))

@Test("only what has reached nobody is worth trying again")
func standings() {
    #expect(receipt(put([.stored, .timedOut])).standing == .stored)
    #expect(receipt(put([.stored], newer: packet(6))).standing == .overtaken)
    #expect(receipt(put([tooOld, .timedOut, tooBig, tooBig])).standing == .conflict)
    #expect(receipt(put([]), .conflict).standing == .conflict)
    #expect(receipt(put([tooBig, tooBig])).standing == .refused)
    #expect(receipt(put([tooBig]), .refused).standing == .refused)
    #expect(receipt(put([tooBig, .timedOut])).standing == .unreachable)
    #expect(receipt(put([], .noAnswer), .refused).standing == .unreachable)
    for outcome in [RelayClient.Publication.Outcome.rateLimited, .failed, .unreachable, .notAsked] {
        #expect(receipt(nil, outcome).standing == .unreachable)
        #expect(receipt(put([tooBig]), outcome).standing == .unreachable)
        #expect(receipt(put([.stored]), outcome).standing == .stored)
    }
}

@Test("a sum counts each packet once and the same reasons together")
func sum() {
    var tally = PublicationTally()
    for _ in 0..<3 { tally.note(receipt(put([.stored]))) }
    for _ in 0..<2 { tally.note(receipt(put([tooBig]))) }
    tally.note(receipt(put([], .noAnswer), .unreachable))
    var again = receipt(put([], .noAnswer), .unreachable)
    again.attempts = 4
    for _ in 0..<2 { tally.note(again) }
    tally.note(receipt(put([], newer: packet(6))))
    #expect(tally.summary == [
        "3 stored, 1 overtaken by a newer packet, 2 refused, 3 reached nobody, 2 tried more than once",
        "3 because of DHT: no node answered; http://a: unreachable", "2 because of DHT: refused with error 205",
    ])
    #expect(tally.total == 9 && tally.failures == 6 && tally.count(.unreachable) == 3)
}

@Test("a packet that few of many nodes have stored is told of, where no relay has it too")
func thin() {
    var tally = PublicationTally()
    tally.note(receipt(put([.stored] + [PutOutcome.Result](repeating: .timedOut, count: 19))))
    tally.note(receipt(put([PutOutcome.Result](repeating: .stored, count: 10) + [.timedOut])))
    // All there are.
    tally.note(receipt(put([.stored, .stored])))
    tally.note(receipt(put([.stored, .timedOut]), .stored))
    #expect(tally.thin == 1)
    #expect(tally.summary == ["4 stored (1 by fewer than 10 nodes)"])
}

@Test("a hostile network cannot make a sum long")
func manyReasons() {
    var tally = PublicationTally()
    for code in 0..<100 { tally.note(receipt(put([.refused(KRPCError(code: Int64(code), text: "x"))]))) }
    #expect(tally.summary.count == 18)
    #expect(tally.summary.last == "84 for other reasons")
}

@Test("Retry-After is seconds or a date, and only of answers that may have it", arguments: [
    (429, "120", Duration.seconds(120)), (503, "0", .seconds(0)), (429, "Sun, 06 Nov 1994 08:49:40 GMT", .seconds(3)),
    (429, "Sun, 06 Nov 1994 08:49:00 GMT", .zero), (429, "-1", nil), (429, "soon", nil), (429, "99999999999", nil), (200, "5", nil),
] as [(Int, String, Duration?)])
func retryAfter(status: Int, value: String, expected: Duration?) {
    // Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110, 5.6.7.
    let response = HTTPResponse(status: status, headers: [("retry-after", value)])
    #expect(response.retryAfter(now: 784_111_777_000_000) == expected)
}

@Test("a run that reaches nobody notices that it is cut off, and one whose packets are refused does not")
func cutOff() throws {
    func isCutOff(_ url: String) throws -> Bool {
        let loop = EventLoop()
        let relay = RelayClient(RelayURL(url)!, http: HTTPClient(on: loop), on: loop)
        var policy = PublicationQueue.Policy(pace: nil, retries: 0, refresh: nil)
        policy.longestOutage = .zero
        var receipts: [Receipt] = []
        let queue = PublicationQueue(
            Publisher(Sources(dht: nil, relays: [relay]), on: loop, jobs: 1), on: loop, policy, onReceipt: { receipts.append($0) },
            onChange: { loop.stop() })
        #expect(!queue.isCutOff)
        queue.add(packet())
        loop.run()
        #expect(receipts.count == 1 && queue.isEmpty)
        return queue.isCutOff
    }
    // A port that is bound, so that nobody else gets it, and does not listen.
    let unreachable = try Sockets.udp(bind: SocketAddress("127.0.0.1:0")!)
    #expect(try isCutOff("http://\(Sockets.localAddress(unreachable.number))"))
}
