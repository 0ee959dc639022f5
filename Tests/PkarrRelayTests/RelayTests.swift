import Crypto
import HTTPServer
import Mainline
import Pkarr
import Platform
import RateLimits
import Testing

@testable import PkarrRelay

/// A relay on a network that answers when the test says so, with a clock that the test sets.
private final class Stand: PacketNetwork {
    var isJoined = true
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var wall: UInt64 = 1_764_000_000_000_000
    var lookups: [(key: PublicKey, floor: Int64?, onItem: (MutableItem) -> Void, completion: (LookupOutcome) -> Void)] = []
    var puts: [(item: MutableItem, basis: PutBasis?, completion: (PutOutcome) -> Void)] = []
    private(set) var relay: PkarrRelay!

    init(_ visitors: Visitors = Visitors(), isFirst: Bool = false) {
        relay = PkarrRelay(network: self, isFirstOfNetwork: isFirst, visitors: visitors, clock: { [unowned self] in now }, wallClock: { [unowned self] in wall })
    }

    func lookUp(
        _ key: PublicKey, moreRecentThan: Int64?, onItem: @escaping (MutableItem) -> Void, completion: @escaping (LookupOutcome) -> Void
    ) { lookups.append((key, moreRecentThan, onItem, completion)) }

    func store(_ item: MutableItem, onto basis: PutBasis?, completion: @escaping (PutOutcome) -> Void) { puts.append((item, basis, completion)) }

    /// Asks; the box gets the answer when there is one.
    func ask(
        _ method: String, _ path: String, _ headers: [(name: String, value: String)] = [], body: [UInt8] = [], policy: String? = nil,
        from peer: String = "192.0.2.1", isTooLong: Bool = false
    ) -> Box {
        let box = Box()
        relay.answer(HTTPExchange(
            method: method, path: path, headers: headers, parameters: policy.map { [(name: "policy", value: $0)] } ?? [], body: body,
            isTooLong: isTooLong, peer: IPAddress(peer)!) { answer in
                #expect(box.answer == nil, "answered twice")
                box.answer = answer
            })
        return box
    }

    func put(_ packet: SignedPacket, ifMatch: String? = nil, from peer: String = "192.0.2.1") -> Box {
        ask("PUT", "/" + packet.publicKey.zBase32, ifMatch.map { [("If-Match", $0)] } ?? [], body: packet.payload, from: peer)
    }

    func get(_ key: PublicKey, policy: String? = nil, from peer: String = "192.0.2.1") -> Box {
        ask("GET", "/" + key.zBase32, policy: policy, from: peer)
    }
}

private final class Box {
    var answer: HTTPAnswer?
    var status: Int? { answer?.status }
    var text: String { String(decoding: answer?.body ?? [], as: UTF8.self) }
    func header(_ name: String) -> String? { answer?.headers.first { $0.name == name }?.value }
}

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 3, count: 32))! }
private func packet(_ timestamp: UInt64, with key: SecretKey = secret) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: []), timestamp: timestamp, with: key)
}
private func unlimited() -> Visitors { Visitors(quotas: .init(requests: nil, lookups: nil)) }
private let complete = LookupOutcome(ending: .complete)
private func outcome(_ result: PutOutcome.Result) -> PutOutcome {
    var outcome = PutOutcome(lookup: complete)
    outcome.nodes = [PutOutcome.Node(node: Contact(id: .random(), address: SocketAddress("192.0.2.9:1")!), result: result)]
    return outcome
}

@Test("the limit of requests comes before all else, with the time to wait, and pages of any origin see it")
func requestLimit() {
    let stand = Stand(Visitors(quotas: .init(requests: Quota("3r/m"), lookups: nil)))
    let origin = [(name: "Origin", value: "https://page.example")]
    #expect(stand.ask("OPTIONS", "/", origin).status == 200)
    #expect(stand.ask("GET", "/nonsense", origin).status == 400)
    #expect(stand.ask("PUT", "/", origin, isTooLong: true).status == 413)
    for (method, path) in [("OPTIONS", "/"), ("GET", "/healthz"), ("DELETE", "/"), ("PUT", "/x")] {
        let refused = stand.ask(method, path, origin, isTooLong: true)
        #expect(refused.status == 429)
        #expect(refused.header("Retry-After") == "20")
        #expect(refused.header("Access-Control-Allow-Origin") == "https://page.example")
    }
    #expect(stand.ask("GET", "/nonsense", from: "192.0.2.2").status == 400)
    for _ in 0..<9 { #expect(stand.ask("GET", "/nonsense", from: "127.0.0.1").status == 400) }
    stand.now = stand.now + .seconds(20)
    #expect(stand.ask("GET", "/nonsense").status == 400)
    #expect(stand.ask("GET", "/nonsense").status == 429)
}

@Test("the limit of look-ups counts what the DHT is asked for, and nothing else")
func lookupLimit() {
    let stand = Stand(Visitors(quotas: .init(requests: nil, lookups: Quota("1r/m"))))
    #expect(stand.ask("PUT", "/" + secret.publicKey.zBase32, body: [1]).status == 400)
    #expect(stand.get(secret.publicKey, policy: "CacheOnly").status == 404)
    let stored = stand.put(packet(10))
    stand.puts[0].completion(outcome(.stored))
    #expect(stored.status == 204)
    #expect(stand.get(secret.publicKey).status == 200)
    #expect(stand.put(packet(9)).status == 409)
    let refused = stand.put(packet(11))
    #expect(refused.status == 429 && refused.header("Retry-After") == "60")
    #expect(refused.text == "Too many requests to DHT nodes\n")
    #expect(stand.get(secret.publicKey, policy: "NetworkOnly").status == 429)
    // Expired, so the DHT would have to be asked.
    stand.wall += 301_000_000
    #expect(stand.get(secret.publicKey).status == 429)
    #expect(stand.get(secret.publicKey, policy: "CacheOnly").status == 200)
    #expect(stand.puts.count == 1 && stand.lookups.isEmpty)
    #expect(stand.get(secret.publicKey, from: "192.0.2.2").answer == nil)
    #expect(stand.lookups.count == 1)
}

@Test("only a trusted proxy is believed who its client is, and only what it has added itself", arguments: [
    ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"), ("10.0.0.1", [], "10.0.0.1"), ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
    ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"), ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
    ("10.0.0.1", ["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"), ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("10.0.0.1", ["1.1.1.1, nobody"], "10.0.0.1"), ("10.0.0.1", ["1.1.1.1, , 10.0.0.2"], "10.0.0.2"), ("10.0.0.1", [""], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.7:1234"], "198.51.100.7"), ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
    ("10.0.0.1", ["[2001:db8::1]:80"], "2001:db8::1"), ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
] as [(String, [String], String)])
func proxies(peer: String, forwarded: [String], client: String) {
    let visitors = Visitors(proxies: [AddressRange("10.0.0.0/24")!])
    let exchange = HTTPExchange(
        method: "GET", path: "/", headers: forwarded.map { ("x-forwarded-FOR", $0) }, parameters: [], body: [], isTooLong: false,
        peer: IPAddress(peer)!) { _ in }
    #expect(visitors.client(of: exchange) == IPAddress(client))
}

@Test("a proxy that nobody has told of is reported once, if it is one of our own")
func unknownProxy() {
    let stand = Stand()
    var reported: [IPAddress] = []
    stand.relay.onUnknownProxy = { reported.append($0) }
    for peer in ["192.0.2.1", "127.0.0.1", "127.0.0.1"] { _ = stand.ask("GET", "/", [("X-Forwarded-For", "1.1.1.1")], from: peer) }
    #expect(reported == [IPAddress("127.0.0.1")!])
}

@Test("who asks the same at the same time shares a look-up, and who asks something else does not")
func sharedLookups() throws {
    let stand = Stand(unlimited())
    let first = stand.get(secret.publicKey), second = stand.get(secret.publicKey), network = stand.get(secret.publicKey, policy: "NetworkOnly")
    #expect(stand.lookups.count == 2)
    stand.lookups[0].onItem(MutableItem(packet(5)))
    #expect(first.status == 200 && second.status == 200 && network.answer == nil)
    stand.lookups[1].onItem(MutableItem(packet(4)))
    stand.lookups[1].onItem(MutableItem(packet(6)))
    #expect(network.answer == nil)
    stand.lookups[1].completion(complete)
    #expect(network.answer?.body == packet(6).payload)
    // The look-up that goes on behind the answer does not take over who asks now.
    stand.wall += 301_000_000
    let third = stand.get(secret.publicKey)
    #expect(stand.lookups.count == 3 && stand.lookups[2].floor == 5)
    stand.lookups[0].completion(complete)
    #expect(third.answer == nil)
    stand.lookups[2].completion(complete)
    #expect(third.status == 503)
}

@Test("an item that is no packet makes 404 with its sequence, unless a packet is as new")
func invalidItems() {
    let stand = Stand(unlimited(), isFirst: true)
    let bytes = Bencode.string([1]).encoded
    func strange(_ sequence: Int64) -> MutableItem {
        let signed = MutableItem.signedBytes(salt: [], sequence: sequence, encodedValue: bytes)
        return MutableItem(key: secret.publicKey, sequence: sequence, signature: secret.sign(signed), value: [1])
    }
    let first = stand.get(secret.publicKey)
    stand.lookups[0].onItem(strange(7))
    stand.lookups[0].completion(LookupOutcome(ending: .nobodyToAsk))
    #expect(first.status == 404 && first.header("Pkarr-Invalid-Signed-Packet-Seq") == "7")
    let second = stand.get(secret.publicKey, policy: "NetworkOnly")
    stand.lookups[1].onItem(strange(7))
    stand.lookups[1].onItem(MutableItem(packet(6)))
    stand.lookups[1].completion(LookupOutcome(ending: .nobodyToAsk))
    #expect(second.status == 404 && second.header("Pkarr-Invalid-Signed-Packet-Seq") == "7")
}

@Test("If-Match is a condition for those who send it", arguments: [
    ("10", nil), ("\"10\"", nil), ("9", 412), ("", 412), ("*", 412), ("\"\"", 412), ("-1", 412), ("99999999999999999999", 412),
    ("9223372036854775808", 412), ("\"9\", \"10\"", 412),
] as [(String, Int?)])
func ifMatch(value: String, status: Int?) {
    let stand = Stand(unlimited())
    _ = stand.put(packet(10))
    stand.puts[0].completion(outcome(.stored))
    let answer = stand.put(packet(11), ifMatch: value)
    #expect(answer.status == status)
    if status == nil { #expect(stand.puts.last?.basis == PutBasis(previous: 10)) }
    // The same packet once more is no loss to anybody.
    if status != nil {
        #expect(stand.put(packet(10), ifMatch: value).answer == nil)
        #expect(stand.puts.last?.basis == PutBasis(previous: value == "9" ? 9 : nil))
    }
}

@Test("a put ends as the DHT has it", arguments: [
    (.stored, false, 204), (.timedOut, false, 500), (.refused(KRPCError(code: 302, text: "")), false, 409),
    (.refused(KRPCError(code: 301, text: "")), true, 412), (.refused(KRPCError(code: 203, text: "")), false, 500),
] as [(PutOutcome.Result, Bool, Int)])
func putResults(result: PutOutcome.Result, conditional: Bool, status: Int) {
    let stand = Stand(unlimited())
    let first = stand.put(packet(10), ifMatch: conditional ? "5" : nil), same = stand.put(packet(10))
    #expect(first.answer == nil && same.answer == nil && stand.puts.count == 1)
    stand.puts[0].completion(outcome(result))
    #expect(first.status == status)
    #expect(same.status == (status == 412 ? 409 : status))
    #expect(stand.get(secret.publicKey, policy: "CacheOnly").status == (status == 204 ? 200 : 404))
    #expect(stand.put(packet(11)).answer == nil)
}

@Test("a newer packet waits for the put of an older one and is put then, whatever has become of that", arguments: [204, 500, 409])
func waitingPut(status: Int) {
    let stand = Stand(unlimited())
    let first = stand.put(packet(10)), newer = stand.put(packet(12)), same = stand.put(packet(12)), newest = stand.put(packet(13))
    #expect(stand.put(packet(11)).status == 409)
    #expect(stand.puts.count == 1 && [first, newer, same, newest].allSatisfy { $0.answer == nil })
    stand.puts[0].completion(outcome(status == 204 ? .stored : status == 500 ? .timedOut : .refused(KRPCError(code: 302, text: ""))))
    #expect(first.status == status && newer.answer == nil && same.answer == nil && newest.answer == nil)
    #expect(stand.puts.count == 2 && stand.puts[1].item == MutableItem(packet(12)))
    stand.puts[1].completion(outcome(.stored))
    #expect(newer.status == 204 && same.status == 204 && newest.answer == nil)
    stand.puts[2].completion(outcome(.stored))
    #expect(newest.status == 204 && stand.puts.count == 3)
    #expect(stand.get(secret.publicKey).answer?.body == packet(13).payload)
}

@Test("a packet that waited is judged by what is known then")
func judgedInTurn() {
    let stand = Stand(unlimited())
    let first = stand.put(packet(10)), onto = stand.put(packet(11), ifMatch: "10"), stale = stand.put(packet(12), ifMatch: "10")
    let mixed = [stand.put(packet(13), ifMatch: "10"), stand.put(packet(13), ifMatch: "11")], last = stand.put(packet(14))
    stand.puts[0].completion(outcome(.stored))
    #expect(first.status == 204 && stand.puts[1].basis == PutBasis(previous: 10))
    stand.puts[1].completion(outcome(.stored))
    #expect(onto.status == 204 && stale.status == 412 && mixed[0].status == 412 && mixed[1].answer == nil)
    #expect(stand.puts.count == 3 && stand.puts[2].basis == PutBasis(previous: 11))
    // What somebody else has put meanwhile outranks all that wait.
    stand.puts[2].completion(PutOutcome(lookup: complete, newer: MutableItem(packet(20))))
    #expect(mixed[1].status == 409 && last.status == 409 && stand.puts.count == 3)
    let afterwards = stand.put(packet(21))
    #expect(afterwards.answer == nil && stand.puts.count == 4)
}

@Test("few packets of one key wait, and those of other keys are put meanwhile")
func boundedLine() {
    let stand = Stand(unlimited())
    let boxes = (0...UInt64(PutLine.mostWaiting)).map { stand.put(packet(10 + $0)) }
    let refused = stand.put(packet(100))
    #expect(refused.status == 429 && refused.header("Retry-After") == "1")
    #expect(stand.put(packet(10, with: SecretKey(seed: [UInt8](repeating: 4, count: 32))!)).answer == nil && stand.puts.count == 2)
    stand.puts[0].completion(outcome(.stored))
    let waits = stand.put(packet(100))
    #expect(boxes[0].status == 204 && boxes[1].answer == nil && waits.answer == nil)
}

@Test("a newer packet that a put finds is a conflict, and is here from then on")
func overtaken() {
    let stand = Stand(unlimited())
    let answer = stand.put(packet(10))
    stand.puts[0].completion(PutOutcome(lookup: complete, newer: MutableItem(packet(12))))
    #expect(answer.status == 409)
    #expect(stand.get(secret.publicKey).answer?.body == packet(12).payload)
}

@Test("health follows the DHT, and the metrics are for the operator only")
func health() {
    let stand = Stand(unlimited())
    #expect(stand.ask("GET", "/healthz").status == 200)
    stand.isJoined = false
    #expect(stand.ask("GET", "/healthz").status == 503)
    #expect(Stand(isFirst: true).ask("HEAD", "/healthz").status == 200)
    #expect(stand.ask("GET", "/metrics").status == 403)
    let metrics = stand.ask("GET", "/metrics", from: "127.0.0.1")
    #expect(metrics.status == 200 && metrics.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
    #expect(metrics.text.contains("pkarr_serve_http_requests_total{method=\"GET\",status=\"503\"} 1\n"))
    for number in 0..<100 { _ = stand.ask("X\(number)", "/") }
    let again = stand.ask("GET", "/metrics", from: "127.0.0.1")
    #expect(again.text.contains("pkarr_serve_http_requests_total{method=\"other\",status=\"405\"} 100\n"))
}
