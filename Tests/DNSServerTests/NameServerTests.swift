import Crypto
import Pkarr
import Platform
import RateLimits
import Testing

@testable import DNSServer

@Test("a question is answered in its own case, with id, flags and EDNS as they should be")
func answers() throws {
    let bench = Bench([packet([address("www", 5)])])
    let upper = "Www.\(alice.zBase32.uppercased()).KEY"
    let answer = try #require(bench.ask(upper))
    #expect(answer.id == 7 && answer.code == 0 && answer.flags == 0x8580 && answer.hasEDNS && answer.reasons.isEmpty)
    #expect(answer.questions == [name(upper)] && answer.answers.map(\.name) == [name(upper)] && answer.addresses == [5])
    let old = try #require(bench.ask(query("www.\(alice)", edns: nil, flags: 0)))
    #expect(!old.hasEDNS && old.flags == 0x8480 && old.addresses == [5])
}

@Test("TTLs count down from the packet's receipt, to nothing while the packet is still good")
func countsDown() {
    let bench = Bench([packet([address("a", ttl: 300), address("b", ttl: 30), address("c", ttl: 4_000_000_000)])])
    #expect(bench.ask("c.\(alice)", at: start.after(10))?.ttls == [86390])
    #expect(bench.ask("a.\(alice)", at: start.after(10.9))?.ttls == [290])
    let last = start.after(59)
    #expect(bench.ask("b.\(alice)", at: last)?.ttls == [0])
    // The calendar may be set back.
    #expect(bench.ask("a.\(alice)", at: Moment(instant: last.instant, microseconds: start.microseconds - 5))?.ttls == [300])
}

@Test("a packet is looked for again after its smallest TTL, but at most once a minute", arguments: [(30, 60), (90, 90), (90000, 86400)])
func freshness(ttl: UInt32, seconds: Double) throws {
    let bench = Bench([packet([address("a", ttl: ttl)])])
    #expect(bench.ask("a.\(alice)", at: start.after(seconds - 1)) != nil)
    #expect(bench.ask("a.\(alice)", at: start.after(seconds)) == nil)
}

@Test("a hundred who ask for one key cause one look-up and get an answer each")
func singleFlight() {
    let bench = Bench([]) { $0.questions = nil }
    var outputs: [NameServer.Output] = []
    for id in 1...100 { outputs += bench.outputs { _ = $0.receive(query("\(alice)", id: UInt16(id)), from: client, at: start) } }
    #expect(outputs == [.lookUp(alice, notOlderThan: nil)])
    let found = packet([address("@", 3)])
    let answers = sent(bench.outputs { $0.finishLookUp(alice, .found(SeenPacket(packet: found, lastSeen: start.microseconds)), at: start) })
    #expect(Set(answers.map(\.id)) == Set(1...100) && answers.allSatisfy { $0.addresses == [3] })
    #expect(bench.server.counters.lookUps == 1 && bench.server.waiting == 0)
}

@Test("a key that nobody has published does not exist, which is remembered for a minute")
func unpublished() throws {
    let bench = Bench()
    #expect(bench.ask("www.\(alice).key") == nil)
    let answer = try #require(sent(bench.outputs { $0.finishLookUp(alice, .nobodyHasIt, at: start) }).first)
    #expect(answer.code == 3 && answer.reasons == [0] && answer.authority.map(\.name) == [name("key")])
    #expect(bench.ask("\(alice)", at: start.after(59))?.code == 3)
    #expect(bench.ask("\(alice)", at: start.after(59))?.authority.isEmpty == true)
    // Published meanwhile through this relay.
    bench.keep(packet([address("@")]), at: start.after(59))
    #expect(bench.ask("\(alice)", at: start.after(59))?.addresses == [1])
    bench.packets = [:]
    #expect(bench.ask("\(alice)", at: start.after(60)) == nil)
}

@Test("an unreachable network is a failure with the reason, and not remembered")
func unreachable() throws {
    let bench = Bench()
    _ = bench.ask("\(alice)")
    let answer = try #require(sent(bench.outputs { $0.finishLookUp(alice, .unreachable("no DHT node answered"), at: start) }).first)
    #expect(answer.code == 2 && answer.reasons == [23] && answer.answers.isEmpty)
    #expect(bench.outputs { _ = $0.receive(query("\(alice)"), from: client, at: start) } == [.lookUp(alice, notOlderThan: nil)])
}

@Test("an old packet is better than none, and says so", arguments: [PacketFinding.nobodyHasIt, .unreachable("x")])
func stale(finding: PacketFinding) throws {
    let old = packet([address("@", ttl: 300), address("short", ttl: 5)])
    let bench = Bench([old])
    let late = start.after(1000)
    #expect(bench.outputs { _ = $0.receive(query("\(alice)"), from: client, at: late) } == [.lookUp(alice, notOlderThan: old)])
    let answer = try #require(sent(bench.outputs { $0.finishLookUp(alice, finding, at: late) }).first)
    #expect(answer.code == 0 && answer.addresses == [1] && answer.ttls == [30] && answer.reasons == [3])
    #expect(bench.server.counters.stale == 1)
}

@Test("a look-up that takes long is not waited for when there is an old packet")
func overdue() throws {
    let bench = Bench([packet([address("@")])])
    let late = start.after(1000)
    #expect(bench.ask("\(alice)", at: late) == nil)
    #expect(bench.server.nextDeadline == late.after(1.8).instant)
    #expect(sent(bench.outputs { $0.advance(to: late.after(1.7)) }).isEmpty)
    #expect(sent(bench.outputs { $0.advance(to: late.after(1.8)) }).map(\.reasons) == [[3]])
    // Who comes now does not wait at all, and the outcome still counts.
    #expect(bench.ask("\(alice)", at: late.after(1.9))?.reasons == [3])
    #expect(bench.server.nextDeadline == nil && bench.server.waiting == 0)
    bench.keep(packet([address("@", 8)], timestamp: 6), at: late.after(2))
    _ = bench.outputs { $0.finishLookUp(alice, .found(bench.packets[alice]!), at: late.after(2)) }
    #expect(bench.ask("\(alice)", at: late.after(2))?.addresses == [8])
    // Without an old one, there is nothing but to wait.
    #expect(bench.ask("\(bob)", at: late.after(2)) == nil)
    #expect(bench.outputs { $0.advance(to: late.after(5)) } == [])
}

@Test("a packet older than a day past its time is no answer")
func tooOld() {
    let bench = Bench([packet([address("@")])])
    let late = start.after(86400 + 300)
    _ = bench.ask("\(alice)", at: late)
    #expect(sent(bench.outputs { $0.finishLookUp(alice, .unreachable("x"), at: late) }).map(\.code) == [2])
}

@Test("an alias is followed within the key, to other keys, and its target is a name of the question's kind")
func followsAliases() throws {
    let bench = Bench([packet([alias("www", "host.\(bob)", ttl: 60)]), packet([alias("host", "Real.\(bob)", in: bob), address("real", 9, in: bob)], 2)])
    let plain = try #require(bench.ask("www.\(alice)"))
    #expect(plain.answers.map(\.name) == [name("www.\(alice)"), name("host.\(bob)"), name("Real.\(bob)")] && plain.addresses == [9])
    let suffixed = try #require(bench.ask("www.\(alice).key"))
    #expect(suffixed.answers.map(\.name) == [name("www.\(alice).key"), name("host.\(bob).key"), name("Real.\(bob).key")])
    #expect(suffixed.answers[0].rdata == name("host.\(bob).key").wire && suffixed.addresses == [9])
}

@Test("an alias to a key that is not here waits for it")
func aliasWaits() {
    let bench = Bench([packet([alias("@", "\(bob)")])])
    #expect(bench.outputs { _ = $0.receive(query("\(alice)"), from: client, at: start) } == [.lookUp(bob, notOlderThan: nil)])
    let answers = sent(bench.outputs { $0.finishLookUp(bob, .nobodyHasIt, at: start) })
    // RFC 6604: the code is that of the last name.
    #expect(answers.map(\.code) == [3] && answers.first?.answers.map(\.type) == [.cname])
}

@Test("aliases in a circle are a failure")
func circle() {
    let bench = Bench([packet([alias("a", "b.\(alice)"), alias("b", "a.\(alice)")])])
    #expect(bench.ask("a.\(alice)")?.code == 2)
}

@Test("an alias out of the keys' world is answered as far as it is known")
func aliasAbroad() throws {
    let bench = Bench([packet([alias("@", "example.com")])])
    let answer = try #require(bench.ask("\(alice)"))
    #expect(answer.code == 0 && answer.answers.map(\.rdata) == [name("example.com").wire])
}

@Test("what does not exist says for how long that may be kept")
func negative() throws {
    let bench = Bench([packet([address("a")], timestamp: 9_000_000)])
    for (owner, code) in [("b.\(alice)", 3), ("\(alice)", 0)] {
        let answer = try #require(bench.ask(owner))
        #expect(answer.code == code && answer.answers.isEmpty && answer.isAuthoritative)
        #expect(answer.authority.map(\.name) == [name("\(alice)")] && answer.authority.map(\.type) == [.soa])
        #expect(answer.authority.first?.rdata.suffix(20).prefix(4) == [0, 0, 0, 9])
    }
    #expect(bench.ask("\(alice)", .soa)?.answers.map(\.type) == [.soa])
    #expect(bench.ask("key", .soa)?.answers.map(\.name) == [name("key")])
    #expect(bench.ask("www.key")?.code == 3)
}

@Test("a referral is not authoritative and brings addresses")
func referral() throws {
    let bench = Bench([packet([record("sub", .ns, name("ns.\(alice)").wire), address("ns", 4)])])
    let answer = try #require(bench.ask("x.sub.\(alice)"))
    #expect(answer.code == 0 && !answer.isAuthoritative && answer.answers.isEmpty)
    #expect(answer.authority.map(\.name) == [name("sub.\(alice)")] && answer.additional.map(\.rdata) == [[192, 0, 2, 4]])
}

@Test("everything at a name is one set in a datagram and all over TCP")
func anything() {
    let bench = Bench([packet([address("@", 1), address("@", 2), record("@", .txt, [0])])])
    #expect(bench.ask(query("\(alice)", .any))?.answers.map(\.type) == [.a, .a])
    #expect(bench.ask(query("\(alice)", .any), from: streamClient)?.answers.map(\.type) == [.a, .a, .txt])
}

@Test("an answer keeps to the size its client takes, and to ours", arguments: [(nil, 512), (100, 512), (700, 700), (4096, 1232)] as [(Int?, Int)])
func sizes(offered: Int?, limit: Int) {
    for count in 1...60 {
        var strings: [UInt8] = []
        for number in 0..<count { strings += [UInt8](repeating: UInt8(number), count: 16) }
        for number in 0..<count { strings[number * 16] = 15 }
        let text = record("@", .txt, strings)
        guard let packet = try? SignedPacket(signing: DNSMessage(answers: [text]), timestamp: 5, with: secret(1)) else { break }
        let bench = Bench([packet])
        let outputs = bench.outputs { _ = $0.receive(query("\(alice)", .txt, edns: offered), from: client, at: start) }
        guard case .send(let message, _) = outputs.first, let answer = try? Answer(message) else {
            Issue.record("no answer")
            return
        }
        #expect(message.count <= limit)
        #expect(answer.isTruncated == answer.answers.isEmpty && answer.questions.count == 1 && answer.hasEDNS == (offered != nil))
        #expect(!answer.isTruncated || count * 16 + 150 > limit)
        #expect(bench.ask(query("\(alice)", .txt), from: streamClient)?.answers.map(\.rdata) == [text.rdata])
    }
}

@Test("what nobody is served is refused with the reason")
func refusals() {
    let bench = Bench([packet([address("@")])])
    #expect(bench.ask("example.com")?.code == 5 && bench.ask("example.com")?.reasons == [20])
    #expect(bench.ask("example.com")?.flags == 0x8105)
    #expect(bench.ask(query("\(alice)", class: 3))?.code == 5)
    #expect(bench.ask(query("\(alice)", version: 1))?.code == 16)
    for type in [41, 128, 250, 251, 252] as [UInt16] { #expect(bench.ask("\(alice)", RecordType(rawValue: type))?.code == 4) }
    #expect(bench.ask(query("\(alice)", flags: 0x8000)) == nil)
}

@Test("an address has quotas of questions and of look-ups; those who wait for the same look-up need none")
func quotas() {
    let bench = Bench([packet([address("@")])]) {
        $0.questions = Quota(1, each: .second, burst: 4)
        $0.lookUps = Quota(1, each: .minute)
    }
    #expect(bench.ask("\(alice)")?.code == 0)
    #expect(bench.ask("\(bob)") == nil)
    #expect(bench.ask("x.\(bob)") == nil)
    #expect(bench.ask("\(secret(3).publicKey)")?.code == 5)
    #expect(bench.ask("\(alice)")?.reasons == [18])
    // What is over the limit and can't be read gets no answer at all.
    let isAnswered = bench.server.receive(Array(query("\(alice)").prefix(20)), from: client, at: start)
    #expect(!isAnswered)
    #expect(bench.ask("\(alice)", at: start.after(1))?.code == 0)
    #expect(bench.server.counters.limited == 3)
}

@Test("queries that wait are bounded, and so are look-ups")
func bounded() {
    let bench = Bench() {
        $0.questions = nil
        $0.lookUps = nil
    }
    for _ in 0..<NameServer.mostWaiting { #expect(bench.ask("\(alice)") == nil) }
    #expect(bench.ask("\(alice)")?.code == 2)
    _ = bench.outputs { $0.finishLookUp(alice, .nobodyHasIt, at: start) }
    for number in 0..<NameServer.mostLookUps { #expect(bench.ask("\(secret(UInt8(10 + number)).publicKey)") == nil) }
    #expect(bench.ask("\(bob)")?.code == 2)
}
