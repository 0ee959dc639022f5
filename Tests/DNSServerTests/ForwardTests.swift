import Crypto
import Pkarr
import Platform
import Testing

@testable import DNSServer

private func bench(_ packets: [SignedPacket] = []) -> Bench {
    Bench(packets) { $0.forwardsFor = [AddressRange("192.0.2.0/24")!] }
}

/// What the server wants forwarded for a query.
private func forwarded(_ bench: Bench, _ message: [UInt8], from origin: NameServer.Origin = client) -> (query: ForwardedQuery, id: Int)? {
    guard case .forward(let query, let id, _) = bench.outputs(of: { _ = $0.receive(message, from: origin, at: start) }).first else { return nil }
    return (query, id)
}

/// An answer to a forwarded query: its own bytes with the response bit, and records.
private func reply(_ query: ForwardedQuery, _ records: [ResourceRecord] = [], flags: UInt16 = 0x8180) -> [UInt8] {
    var reader = DNSReader(Array(query.wire[12...]))
    let asked = try! reader.name()
    let type = RecordType(rawValue: try! reader.integer(UInt16.self))
    var writer = DNSWriter(id: query.id, flags: flags, counts: [1, UInt16(records.count), 0, 0])
    writer.append(question: asked, type: type, class: 1)
    for record in records { writer.append(record) }
    return writer.bytes
}

private let elsewhere = ResourceRecord(name: name("example.com"), type: .a, timeToLive: 60, rdata: [192, 0, 2, 77])

@Test("a question of the rest of DNS is forwarded without the client's id and options, and answered with its own")
func forwards() throws {
    let bench = bench()
    let (query, id) = try #require(forwarded(bench, query("eXample.com", id: 99)))
    #expect(query.wire.count == 12 + 17 + 11)
    let message = reply(query, [elsewhere])
    #expect(query.accepts(message))
    let answer = try #require(sent(bench.outputs { $0.finishForward(id, message, at: start) }).first)
    #expect(answer.id == 99 && answer.questions == [name("eXample.com")] && answer.addresses == [77])
    #expect(bench.outputs { $0.finishForward(id, message, at: start) } == [])
}

@Test("ids of forwarded queries differ")
func randomIDs() {
    let bench = bench()
    let ids = Set((0..<100).compactMap { _ in forwarded(bench, query("example.com"))?.query.id })
    #expect(ids.count > 90)
}

@Test("who may not have questions forwarded is refused")
func notForEverybody() {
    let stranger = NameServer.Origin(transport: .udp, address: SocketAddress("198.51.100.1:1")!, channel: 0)
    let answer = bench().ask(query("example.com"), from: stranger)
    #expect(answer?.code == 5 && answer?.reasons == [18] && answer?.flags == 0x8105)
}

@Test("only a whole answer to the very question is accepted")
func accepts() throws {
    let (query, _) = try #require(forwarded(bench(), query("example.com", edns: nil)))
    let good = reply(query, [elsewhere])
    #expect(query.accepts(good))
    for index in good.indices.dropLast(6) where index != 3 {
        var changed = good
        changed[index] ^= 0xff
        // A bit of the answers' TTL, data and flags may differ; their shape and the question may not.
        if index < 2 || index == 4 || index == 5 || (12..<29).contains(index) { #expect(!query.accepts(changed), "byte \(index)") }
    }
    for count in 0..<good.count { #expect(!query.accepts(Array(good.prefix(count)))) }
    #expect(!query.accepts(good + [0]))
    #expect(!query.accepts(reply(query, flags: 0x0180)))
    #expect(!query.accepts(reply(query, [.opt(payloadSize: 512, dnssecOK: false)])))
}

@Test("without an answer there is a failure that says so")
func nobodyAnswers() throws {
    let bench = bench()
    let (_, id) = try #require(forwarded(bench, query("example.com")))
    let answer = try #require(sent(bench.outputs { $0.finishForward(id, nil, at: start) }).first)
    #expect(answer.code == 2 && answer.reasons == [22])
}

@Test("an answer longer than the client takes sends him to TCP")
func tooLong() throws {
    let bench = bench()
    let records = [ResourceRecord](repeating: elsewhere, count: 60)
    let (query, id) = try #require(forwarded(bench, query("example.com", edns: nil)))
    let answer = try #require(sent(bench.outputs { $0.finishForward(id, reply(query, records), at: start) }).first)
    #expect(answer.isTruncated && answer.answers.isEmpty && answer.questions.count == 1)
    let (again, other) = try #require(forwarded(bench, DNSServerTests.query("example.com", edns: nil), from: streamClient))
    #expect(sent(bench.outputs { $0.finishForward(other, reply(again, records), at: start) }).first?.answers.count == 60)
}

@Test("an alias of a key is followed into the rest of DNS")
func followsAbroad() throws {
    let bench = bench([packet([alias("@", "example.com")])])
    let (query, id) = try #require(forwarded(bench, query("\(alice)")))
    let answer = try #require(sent(bench.outputs { $0.finishForward(id, reply(query, [elsewhere]), at: start) }).first)
    #expect(answer.answers.map(\.type) == [.cname, .a] && answer.questions == [name("\(alice)")] && answer.code == 0)
    let (_, second) = try #require(forwarded(bench, DNSServerTests.query("\(alice)")))
    let alone = try #require(sent(bench.outputs { $0.finishForward(second, nil, at: start) }).first)
    #expect(alone.code == 2 && alone.answers.map(\.type) == [.cname])
}

@Test("an alias in an answer from elsewhere that leads to a key is followed")
func followsHome() throws {
    let bench = bench([packet([address("www", 9)])])
    for flags in [0x8180, 0x8183] as [UInt16] {
        let (query, id) = try #require(forwarded(bench, query("Example.com")))
        let abroad = [("Example.com", "other.example"), ("OTHER.example", "www.\(alice)")].map { owner, target in
            ResourceRecord(name: name(owner), type: .cname, timeToLive: 60, rdata: name(target).wire)
        }
        let answer = try #require(sent(bench.outputs { $0.finishForward(id, reply(query, abroad, flags: flags), at: start) }).first)
        #expect(answer.code == 0 && answer.answers.map(\.type) == [.cname, .cname, .a] && answer.addresses == [9])
    }
}

@Test("aliases between a key and elsewhere that lead in a circle are a failure")
func circleAbroad() throws {
    let bench = bench([packet([alias("@", "example.com")])])
    var answers: [Answer] = []
    var rounds = 0
    var outputs = bench.outputs { _ = $0.receive(query("\(alice)"), from: client, at: start) }
    while case .forward(let query, let id, _)? = outputs.first {
        rounds += 1
        let back = ResourceRecord(name: name("example.com"), type: .cname, timeToLive: 60, rdata: name("\(alice)").wire)
        outputs = bench.outputs { $0.finishForward(id, reply(query, [back]), at: start) }
        answers = sent(outputs)
    }
    #expect(answers.map(\.code) == [2] && rounds <= Resolution.mostAliases)
}

@Test("an answer from elsewhere that is cut short makes the whole one so")
func truncatedAbroad() throws {
    let bench = bench([packet([alias("@", "example.com")])])
    let (query, id) = try #require(forwarded(bench, query("\(alice)")))
    let answer = try #require(sent(bench.outputs { $0.finishForward(id, reply(query, flags: 0x8380), at: start) }).first)
    #expect(answer.isTruncated && answer.answers.isEmpty)
}

@Test("forwarded queries are bounded")
func boundedForwards() {
    let bench = Bench {
        $0.forwardsFor = [AddressRange("192.0.2.0/24")!]
        $0.questions = nil
    }
    for _ in 0..<NameServer.mostForwarded { #expect(forwarded(bench, query("example.com")) != nil) }
    #expect(bench.ask("example.com")?.code == 2)
}

@Test("names of keys are never forwarded, also mistyped ones")
func keepsKeys() {
    let bench = bench()
    for owner in ["\(alice.zBase32.dropLast())b", "x.\(alice.zBase32.dropLast())l", "www.key"] { #expect(bench.ask(owner)?.code == 3) }
}
