import Crypto
import JSON
import Mainline
import Pkarr
import Platform
import Testing

@testable import Discovery

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 11, count: 32))! }
private var key: PublicKey { secret.publicKey }
private let now: UInt64 = 1_764_000_000_000_000
private let hour: UInt64 = 3_600_000_000

/// A packet with one TXT record of so many bytes.
private func packet(_ timestamp: UInt64 = now - hour, text: Int = 4, name: String = "@") -> SignedPacket {
    let rdata = RecordData.strings(Array(repeating: Array(repeating: 0x78, count: 200), count: text / 200) + [Array(repeating: 0x79, count: text % 200)])
    // With a final dot the name is taken as it stands.
    let owner = name.hasSuffix(".") ? DomainName(labels: [Array(name.utf8.dropLast())])! : try! DomainName(owner: name, in: key)
    let record = ResourceRecord(name: owner, type: .txt, timeToLive: 300, rdata: rdata.rdata)
    return try! SignedPacket(signing: DNSMessage(answers: [record]), timestamp: timestamp, with: secret)
}

private func nodes(_ findings: [AuditedSource.Finding], closest: Bool = true, from first: Int = 1) -> [AuditedSource] {
    findings.enumerated().map { index, finding in
        let number = first + index
        let address = SocketAddress("192.0.2.\(number):6881")!
        return AuditedSource(
            .node(address, id: NodeID(hashing: [UInt8(number)]), isClosest: closest),
            AuditedSource.Answer(finding, roundTrip: finding == .silent ? nil : .milliseconds(3)))
    }
}

private func relay(_ finding: AuditedSource.Finding, network: AuditedSource.Finding? = nil, host: String = "relay.example") -> AuditedSource {
    AuditedSource(.relay(RelayURL("https://\(host)")!), AuditedSource.Answer(finding), network: network.map { AuditedSource.Answer($0) })
}

private func report(_ sources: [AuditedSource], lookup: LookupOutcome.Ending? = .complete) -> AuditReport {
    AuditReport(of: key, sources, lookup: lookup, time: now)
}

private func verdict(_ sources: [AuditedSource], lookup: LookupOutcome.Ending? = .complete) -> AuditVerdict {
    AuditVerdict(report(sources, lookup: lookup))
}

private func many(_ finding: AuditedSource.Finding, _ count: Int) -> [AuditedSource.Finding] { Array(repeating: finding, count: count) }

@Test("ten nodes with the newest packet are well stored, whatever nodes farther away have")
func wellStored() {
    let good = nodes(many(.packet(packet()), 10) + many(.nothing, 3))
        + nodes([.packet(packet(now - 2 * hour)), .nothing, .silent, .refused(code: 201, "no")], closest: false, from: 40)
    let verdict = verdict(good + [relay(.packet(packet())), relay(.unreachable("no route"))])
    #expect((verdict.word, verdict.standing, verdict.advice) == ("well-stored", .fine, nil))
    #expect(verdict.text == "The newest packet, signed 1 hour ago, is held by 10 nodes of the DHT (10 of the 13 closest) "
        + "and served by 1 of 2 relays, of which 1 gave no usable answer.")
}

@Test("in a small network all nodes are enough, and so are all relays where only they are asked")
func agreed() {
    #expect(verdict(nodes(many(.packet(packet()), 6))).word == "agreed")
    #expect(verdict(nodes(many(.packet(packet()), 6))).standing == .fine)
    #expect(verdict([relay(.packet(packet())), relay(.packet(packet()))], lookup: nil).word == "agreed")
    #expect(verdict(nodes(many(.packet(packet()), 5) + [.nothing])).word == "thin")
    // Of twenty nodes that were asked there would have been enough.
    #expect(verdict(nodes(many(.packet(packet()), 6) + many(.silent, 14))).word == "thin")
}

@Test("without a usable answer nothing is known")
func unanswered() {
    let page = relay(.invalid("no packet of this key"), host: "portal.example")
    let silent = verdict(nodes(many(.silent, 3)) + [page, relay(.unreachable("timed out")), relay(.rateLimited("status 429"))], lookup: .noAnswer)
    #expect((silent.word, silent.standing, silent.problems.count) == ("unanswered", .unanswered, 1))
    for reason in ["the DHT: no node answered", "https://portal.example: no packet of this key", "https://relay.example: timed out"] {
        #expect(silent.text.contains(reason))
    }
    #expect(verdict([], lookup: .nobodyToAsk).word == "unanswered")
}

@Test("a key that nobody has is not found, also when only some have answered")
func notFound() {
    let answer = verdict(nodes(many(.nothing, 8)) + [relay(.nothing, network: .nothing)])
    #expect((answer.word, answer.standing) == ("not-found", .notFound))
    #expect(answer.problems == [.notFound])
    let half = verdict(nodes(many(.silent, 2)) + [relay(.nothing)], lookup: .noAnswer)
    #expect(half.problems.map(\.word) == ["not-found", "dht-silent"])
    #expect(half.standing == .notFound)
}

@Test("a newer item that is no packet hides the packet, an older one does not")
func noPacket() {
    let good = many(AuditedSource.Finding.packet(packet()), 12)
    let hidden = verdict(nodes(good + [.noPacket(sequence: now, value: [1])]))
    #expect((hidden.word, hidden.standing) == ("not-a-packet", .badData))
    #expect(verdict(nodes(good + [.noPacket(sequence: now - 2 * hour, value: [1])])).word == "well-stored")
    #expect(verdict(nodes([.noPacket(sequence: 5, value: [1])])).problems == [.noPacket(sequence: 5)])
    // A relay that tells of one in its DHT.
    #expect(verdict(nodes(good) + [relay(.packet(packet()), network: .noPacket(sequence: now, value: nil))]).word == "not-a-packet")
}

@Test("an older packet than was seen before is told of, though everybody shows it")
func rolledBack() {
    var old = report(nodes(many(.packet(packet()), 12)))
    old.floor = now - hour
    #expect(old.problems == [])
    old.floor = now - hour + 1
    #expect(old.problems == [.rolledBack(to: now - hour + 1)])
    #expect(AuditVerdict(old).standing == .disagreement)
    #expect(old.objects.last?["floor"] == .integer(Int64(now - hour + 1)))
}

@Test("a timestamp in the future is told of, a clock that is a little off is not")
func inFuture() {
    let ahead = verdict(nodes(many(.packet(packet(now + 2 * hour)), 10)))
    #expect((ahead.word, ahead.standing) == ("in-future", .disagreement))
    #expect(ahead.text.contains("2 hours ahead"))
    #expect(verdict(nodes(many(.packet(packet(now + 59_000_000)), 10))).word == "well-stored")
}

@Test("of two packets with one timestamp the larger is the newest, and the other a problem")
func sameTimestamp() {
    let (small, large) = (packet(text: 4), packet(text: 6))
    let newest = small.isMoreRecent(than: large) ? small : large
    let both = report(nodes(many(.packet(small), 10) + many(.packet(large), 10)))
    #expect(both.newest == newest)
    #expect(AuditVerdict(both).problems == [.sameTimestamp(10)])
    #expect(both.sources.map { both.outcome(of: $0) }.filter { $0 == .different }.count == 10)
}

@Test("an older packet among the closest nodes is a problem")
func outdatedNodes() {
    let mixed = verdict(nodes(many(.packet(packet()), 12) + many(.packet(packet(now - 3 * hour)), 2)))
    #expect(mixed.problems == [.outdatedNodes(2)])
    #expect(mixed.standing == .disagreement)
    #expect(mixed.advice?.contains("pkarr-resolve KEY | pkarr-publish") == true)
}

@Test("what only relays have is not in the DHT, and a silent DHT is said to be silent")
func relaysOnly() {
    #expect(verdict(nodes(many(.nothing, 9)) + [relay(.packet(packet()))]).problems == [.notInDHT])
    #expect(verdict([relay(.packet(packet()))], lookup: .nobodyToAsk).problems == [.dhtSilent("no bootstrap node to ask")])
}

@Test("a relay lags when it serves less than the newest, and its cache is told from its DHT")
func laggingRelays() {
    let good = nodes(many(.packet(packet()), 10))
    let cached = report(good + [relay(.packet(packet(now - 30 * hour)), network: .packet(packet())), relay(.packet(packet()))])
    #expect(cached.problems == [.laggingRelays([RelayURL("https://relay.example")!], wouldFind: 1)])
    #expect(AuditVerdict(cached).advice?.contains("catch up by themselves") == true)
    let lost = report(good + [relay(.nothing, network: .nothing, host: "a.example"), relay(.packet(packet(1)), network: .packet(packet(1)))])
    #expect(lost.laggingRelays.map(\.description) == ["https://a.example", "https://relay.example"])
    #expect(AuditVerdict(lost).advice?.contains("--relay URL") == true)
    #expect(report(good + [relay(.failed("status 500")), relay(.refused(code: nil, "status 400"))]).problems.isEmpty)
}

@Test("a relay's DHT may hold what nobody else has shown")
func newestOfAll() {
    let sources = report(nodes(many(.packet(packet(1)), 10)) + [relay(.packet(packet(1)), network: .packet(packet(2)))])
    #expect(sources.newest == packet(2))
    #expect(sources.laggingRelays.count == 1)
}

@Test("a message that most nodes do not store is named as the reason for too few")
func oversize() {
    let large = packet(text: 900 + SignedPacket.storedEverywhereMessageSize + 1 - packet(text: 900).size)
    #expect(large.size == SignedPacket.storedEverywhereMessageSize + 1)
    let few = verdict(nodes([.packet(large), .nothing]))
    #expect(few.problems == [.oversize(large.size), .thin(1)])
    #expect(few.standing == .badData)
    #expect(verdict(nodes(many(.packet(large), 10))).word == "well-stored")
}

@Test("records that nobody can use are told of")
func recordWarnings() {
    func warnings(_ packet: SignedPacket) -> [String] { report(nodes([.packet(packet)])).recordWarnings }
    #expect(warnings(packet()) == [])
    #expect(warnings(packet(name: "elsewhere.")) == ["elsewhere. TXT lies outside the key's zone, where nobody looks for it"])
    #expect(warnings(try! SignedPacket(signing: DNSMessage(answers: []), timestamp: 1, with: secret)) == ["there are none"])
    let broken = ResourceRecord(name: DomainName(zone: key), type: .a, timeToLive: 1, rdata: [1, 2, 3, 4, 5])
    let odd = try! SignedPacket(signing: DNSMessage(answers: [broken]), timestamp: 1, with: secret)
    #expect(warnings(odd) == ["the data of @ A is malformed for its type"])
    #expect(warnings(packet(name: "_iroh")).first?.contains("real iroh refuses") == true)
    let verdict = verdict(nodes(many(.packet(packet(name: "elsewhere.")), 10)))
    #expect((verdict.word, verdict.standing) == ("unusable-records", .badData))
}

@Test("nodes stand before relays, the closest to the key first and those of unknown id last")
func order() {
    let target = MutableItem.target(of: key)
    let unknown = AuditedSource(.node(SocketAddress("192.0.2.99:1")!, id: nil, isClosest: false), AuditedSource.Answer(.silent))
    let sorted = report([relay(.nothing), unknown] + nodes(many(.nothing, 9))).sources
    let ids = sorted.compactMap { if case .node(_, let id, _) = $0.place { id } else { nil } }
    #expect(ids == ids.sorted { $0.distance(to: target) < $1.distance(to: target) })
    #expect(sorted[9] == unknown)
    #expect(sorted[10].isRelay)
}

@Test("every problem has a word of its own, an explanation and advice")
func words() {
    let problems: [AuditProblem] = [
        .unanswered(["x"]), .notFound, .rolledBack(to: 1), .noPacket(sequence: 1), .unusableRecords(["x"]), .oversize(999), .inFuture(1), .sameTimestamp(1),
        .dhtSilent("x"), .notInDHT, .outdatedNodes(1), .thin(1), .laggingRelays([RelayURL("http://a")!], wouldFind: 0),
    ]
    #expect(Set(problems.map(\.word)).count == problems.count)
    for problem in problems {
        #expect(problem.explanation.hasSuffix(".") && problem.advice.hasSuffix("."))
    }
}

@Test("an audit is an object for each source and one for the verdict")
func objects() throws {
    var old = relay(.packet(packet(now - 25 * hour)), network: .packet(packet()))
    old.answer.status = 200
    old.answer.cachedFor = 77
    old.answer.roundTrip = .microseconds(12345)
    let sources = report(nodes([.packet(packet()), .refused(code: 201, "odd")]) + [old], lookup: .limited)
    let objects = sources.objects
    #expect(objects.count == 4)
    #expect(objects.allSatisfy { $0["public_key"] == .string(key.zBase32) })
    let holder = objects.first { $0["outcome"] == "newest" }!
    #expect(holder["source"] == "node" && holder["age_s"] == 3600 && holder["closest"] == true && holder["round_trip_ms"] == .real(3))
    #expect(holder["hash"] == .string(packet().messageHash) && holder["size"] == .integer(Int64(packet().size)))
    let refusing = objects.first { $0["outcome"] == "refused" }!
    #expect(refusing["code"] == 201 && refusing["message"] == "odd" && refusing["timestamp"] == nil)
    #expect(objects[2]["older_by_us"] == .integer(Int64(24 * hour)) && objects[2]["cached_s"] == 77 && objects[2]["round_trip_ms"] == .real(12.345))
    #expect(objects[2]["network"]?.objectValue?["outcome"] == "newest")
    let last = objects[3]
    #expect(last["source"] == nil && last["outcome"] == "thin")
    #expect(last["problems"] == ["thin", "lagging-relays"] && last["lagging_relays"] == ["https://relay.example"])
    #expect(last["nodes"]?.objectValue?["lookup"] == "limited" && last["relays"]?.objectValue?["older"] == 1)
    #expect(last["well_stored"] == false && last["newer_item"] == .null && last["time"] == .integer(Int64(now)))
}

@Test("spans are cut to their largest unit")
func spans() {
    #expect(spelled(microseconds: 0) == "0 microseconds")
    #expect(spelled(microseconds: 1_000_000) == "1 second")
    #expect(spelled(microseconds: 7_199_000_000) == "1 hour")
    #expect(brief(microseconds: 172_800_000_000) == "2 d")
    #expect(brief(microseconds: 0) == "0 s")
    #expect(brief(Duration.microseconds(449)) == "0.4 ms")
    #expect(brief(Duration.milliseconds(12)) == "12 ms")
}
