import Crypto
import JSON
import Pkarr
import TestSupport
import Testing

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 7, count: 32))! }
private let own = RRset(name: try! DomainName(owner: "_iroh", in: key.publicKey), type: .txt)

private func text(_ name: String, _ strings: String...) -> ResourceRecord {
    ResourceRecord(
        name: try! DomainName(owner: name, in: key.publicKey), type: .txt, timeToLive: 30,
        rdata: RecordData.strings(strings.map { Array($0.utf8) }).rdata)
}

private func address(_ name: String, _ byte: UInt8) -> ResourceRecord {
    ResourceRecord(name: try! DomainName(owner: name, in: key.publicKey), type: .a, timeToLive: 3600, rdata: [127, 0, 0, byte])
}

/// A record that only its bytes describe, as a homeserver of the future may publish it.
private let opaque = ResourceRecord(
    name: try! DomainName(owner: "x", in: key.publicKey), type: RecordType(rawValue: 65300), classField: 0x8001, timeToLive: 7,
    rdata: [0xc0, 0x0c, 0, 255])

private func packet(_ timestamp: UInt64, _ records: ResourceRecord...) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: records), timestamp: timestamp, with: key)
}

private func builder(_ defaults: ResourceRecord..., stamping: Stamping = .exact) -> PacketBuilder {
    PacketBuilder(key: key, composition: Composition(ownSets: [own], defaults: defaults), stamping: stamping)
}

@Test("what others published is kept byte for byte, and the own set replaced")
func merge() throws {
    var builder = builder()
    #expect(try builder.take(packet(5, address("@", 1), text("_iroh", "old"), opaque), now: 100).packet == nil)
    let merged = try #require(try builder.take([text("_iroh", "new")], now: 100).packet)
    #expect(merged.records == [address("@", 1), opaque, text("_iroh", "new")])
    #expect(merged.timestamp == 100)
}

@Test("records given before any packet are merged into one that turns up later, even an older one")
func lateBase() throws {
    var builder = builder()
    #expect(try builder.take([text("_iroh", "a")], now: 100).packet?.records == [text("_iroh", "a")])
    #expect(try builder.take(packet(5, address("@", 1)), now: 200).packet?.records == [address("@", 1), text("_iroh", "a")])
}

@Test("the same records again change nothing, nor does an older packet")
func unchanged() throws {
    var builder = builder()
    _ = try builder.take(packet(50, address("@", 1)), now: 100)
    _ = try builder.take([text("_iroh", "a")], now: 100)
    #expect(try builder.take([text("_iroh", "a")], now: 101).packet == nil)
    #expect(try builder.take(packet(40, address("@", 2)), now: 101).packet == nil)
}

@Test("our own packet is recognised when it comes back, the latest and those before it")
func ownPacket() throws {
    var builder = builder()
    let first = try #require(try builder.take([text("_iroh", "a"), text("x", "1")], now: 100).packet)
    let second = try #require(try builder.take([text("_iroh", "a")], now: 100).packet)
    #expect(second.timestamp == 101)
    #expect(try builder.take(second, now: 200).packet == nil)
    #expect(try builder.take(first, now: 200).packet == nil)
    #expect(try builder.renew(now: 300)?.packet?.records == [text("_iroh", "a")])
}

@Test("a packet that replaces ours is merged again, with a later timestamp, and that is said")
func overwritten() throws {
    var builder = builder()
    _ = try builder.take([text("_iroh", "a")], now: 100)
    let outcome = try builder.take(packet(150, address("@", 1)), now: 200)
    #expect(outcome.packet?.records == [address("@", 1), text("_iroh", "a")])
    #expect(outcome.packet?.timestamp == 200)
    #expect(outcome.notices == [.overwritten])
}

@Test("a newer packet that says the same is passed on, so that two authorities don't outbid each other")
func passedOn() throws {
    var builder = builder()
    _ = try builder.take([text("_iroh", "a"), address("@", 1)], now: 100)
    let other = packet(150, address("@", 1), text("_iroh", "a"))
    #expect(try builder.take(other, now: 200).packet == other)
    #expect(try builder.take(other, now: 201).packet == nil)
}

@Test("nothing is signed in the future: a packet that is stamped later than now stands until its time has come")
func future() throws {
    for stamping in [Stamping.exact, .deferring, .deferringWhenMerging] {
        var builder = builder(stamping: stamping)
        let now: UInt64 = 100_000_000
        _ = try builder.take(packet(now + 5_000_000, address("@", 1)), now: now)
        let failure = PacketBuilder.Failure.outranked(by: now + 5_000_000)
        #expect(throws: failure) { try builder.take([text("_iroh", "a")], now: now) }
        #expect(throws: failure) { try builder.renew(now: now + 3_900_000) }
        let later = try #require(try builder.renew(now: now + 5_000_001)?.packet)
        #expect(later.timestamp == now + 5_000_001)
        #expect(later.records == [address("@", 1), text("_iroh", "a")])
    }
}

@Test("a packet from the future is not passed on either, for that would keep it alive")
func futurePassedOn() throws {
    var builder = builder()
    _ = try builder.take([address("@", 1), text("_iroh", "a")], now: 100_000_000)
    let wrong = packet(105_000_000, address("@", 1), text("_iroh", "a"))
    #expect(throws: PacketBuilder.Failure.outranked(by: 105_000_000)) { try builder.take(wrong, now: 100_000_100) }
}

@Test("what is signed beside others is stamped a minute behind the clock, but after what has been seen")
func deference() throws {
    let now: UInt64 = 1_000_000_000
    var alone = builder(stamping: .deferringWhenMerging)
    #expect(try alone.take([text("_iroh", "a")], now: now).packet?.timestamp == now)
    var merging = builder(stamping: .deferringWhenMerging)
    _ = try merging.take(packet(5, address("@", 1)), now: now)
    #expect(try merging.take([text("_iroh", "a")], now: now).packet?.timestamp == now - 60_000_000)
    var staying = builder(stamping: .deferring)
    #expect(try staying.take([text("_iroh", "a")], now: now).packet?.timestamp == now - 60_000_000)
    // A homeserver has just started.
    let after = try #require(try staying.take(packet(now - 100_000, address("@", 1)), now: now).packet)
    #expect(after.timestamp > now - 100_000 && after.timestamp <= now - 100_000 + 65536)
}

@Test("of two authorities that have seen the same packet, the same records give the same packet and others another timestamp")
func ties() throws {
    let now: UInt64 = 1_000_000_000
    func merged(_ content: String) throws -> SignedPacket? {
        var builder = PacketBuilder(key: key, composition: Composition(ownSets: []), stamping: .deferringWhenMerging)
        _ = try builder.take(packet(now - 100_000, address("@", 1)), now: now)
        return try builder.take([text("_x", content)], now: now).packet
    }
    #expect(try merged("a") == merged("a"))
    #expect(try merged("a")?.timestamp != merged("b")?.timestamp)
}

@Test("what an earlier run has signed or seen is never signed again or lost")
func remembered() throws {
    var builder = builder()
    builder.remember(floor: 500, packet: packet(300, address("@", 1)))
    let outcome = try builder.take([text("_iroh", "a")], now: 200)
    #expect(outcome.packet?.timestamp == 501)
    #expect(outcome.packet?.records == [address("@", 1), text("_iroh", "a")])
    #expect(outcome.previous == 300)
    // Somebody shows an old packet again.
    #expect(try builder.take(packet(250, address("@", 2)), now: 600).packet == nil)
}

@Test("a packet that is remembered by another process before it is read is merged all the same")
func rememberedMeanwhile() throws {
    var builder = builder()
    let ours = try #require(try builder.take([text("_iroh", "a")], now: 100).packet)
    let theirs = packet(150, address("@", 1))
    builder.remember(floor: 150, packet: theirs)
    let merged = try builder.take(theirs, now: 200)
    #expect(merged.packet?.records == [address("@", 1), text("_iroh", "a")])
    #expect(merged.notices == [.overwritten])
    // The receipt of what was overtaken comes later.
    #expect(try builder.take(theirs, missingIn: ours.timestamp, now: 200).packet == nil)

    var started = PacketBuilder(key: key, composition: Composition(ownSets: [own], defaults: [text("_iroh", "static")]))
    started.remember(floor: 150, packet: theirs)
    #expect(try started.take(theirs, now: 200).packet?.records == [address("@", 1), text("_iroh", "static")])
}

@Test("a packet says which one it was built on")
func previous() throws {
    var builder = builder()
    #expect(try builder.take([text("_iroh", "a")], now: 100).previous == nil)
    #expect(try builder.take(packet(150, address("@", 1)), now: 200).previous == 150)
    // What has been signed here is not what others have published.
    #expect(try builder.take([text("_iroh", "b")], now: 300).previous == 150)
}

@Test("a packet that already says what is wanted is passed on, not signed again")
func nothingToAdd() throws {
    var builder = builder()
    let there = packet(150, address("@", 1), text("_iroh", "a"))
    _ = try builder.take(there, now: 200)
    let outcome = try builder.take([text("_iroh", "a")], now: 200)
    #expect(outcome.packet == there && outcome.previous == 150)
    #expect(try builder.finish(now: 300)?.packet == nil)
}

@Test("a packet that ours was published without is merged, though it is older, in the same run or in the next")
func unmerged() throws {
    var first = builder()
    _ = try first.take(packet(50, address("@", 1)), now: 100)
    let ours = try #require(try first.take([text("_iroh", "a")], now: 100).packet)
    let missed = packet(80, address("@", 1), address("b", 2))
    let outcome = try first.take(missed, missingIn: ours.timestamp, now: 200)
    #expect(outcome.packet?.records == [address("@", 1), address("b", 2), text("_iroh", "a")])
    #expect(outcome.previous == 80)

    for order in [[ours, missed], [missed, ours]] {
        var second = builder(text("_iroh", "a"))
        for packet in order { _ = try second.take(packet, missingIn: packet == missed ? ours.timestamp : nil, now: 200) }
        let signed = try second.renew(now: 300)
        #expect(signed?.packet?.records == [address("@", 1), address("b", 2), text("_iroh", "a")])
        #expect(signed?.packet.map { $0.timestamp > ours.timestamp } == true)
    }
}

@Test("a packet that holds nothing new but was not taken into account lets ours be given again")
func unmergedWithoutNews() throws {
    var builder = builder()
    _ = try builder.take(packet(50, address("@", 1)), now: 100)
    let ours = try #require(try builder.take([text("_iroh", "a")], now: 100).packet)
    let outcome = try builder.take(packet(80, address("@", 1)), missingIn: ours.timestamp, now: 200)
    #expect(outcome.packet == ours && outcome.previous == 80)
}

@Test("of two packets with one timestamp the other's records are merged, with a later timestamp")
func sameTimestamp() throws {
    var builder = builder()
    let ours = try #require(try builder.take([text("_iroh", "a")], now: 100).packet)
    let outcome = try builder.take(packet(ours.timestamp, address("@", 1)), missingIn: ours.timestamp, now: 100)
    #expect(outcome.packet?.records == [address("@", 1), text("_iroh", "a")])
    #expect(outcome.packet?.timestamp == ours.timestamp + 1)
}

@Test("nothing can replace a packet with the last timestamp")
func lastTimestamp() throws {
    var builder = builder()
    _ = try builder.take(packet(UInt64(Int64.max)), now: 100)
    #expect(throws: PacketBuilder.Failure.noLaterTimestamp) { try builder.take([], now: 100) }
}

@Test("defaults are published until records of the same set are given, and outrank a packet")
func defaults() throws {
    var builder = builder(address("@", 9), text("_iroh", "static"))
    let first = try builder.take(packet(5, address("@", 1), address("b", 1), text("_iroh", "old")), now: 100)
    #expect(first.packet?.records == [address("b", 1), address("@", 9), text("_iroh", "static")])
    let second = try builder.take([text("_iroh", "live")], now: 100)
    #expect(second.packet?.records == [address("b", 1), address("@", 9), text("_iroh", "live")])
    let third = try builder.take([], now: 100)
    #expect(third.packet?.records == [address("b", 1), address("@", 9), text("_iroh", "static")])
}

@Test("defaults without the own set leave that of a packet until records are given")
func defaultsBeside() throws {
    var builder = builder(address("@", 9))
    let first = try builder.take(packet(5, text("_iroh", "old")), now: 100)
    #expect(first.packet?.records == [text("_iroh", "old"), address("@", 9)])
    #expect(try builder.take([], now: 100).packet?.records == [address("@", 9)])
}

@Test("at the end of input there is a packet if there is anything to sign and nothing was signed before")
func endOfInput() throws {
    var nothing = builder()
    let outcome = try nothing.finish(now: 1)
    #expect(outcome == nil)
    var onlyPacket = builder()
    _ = try onlyPacket.take(packet(5, address("@", 1)), now: 100)
    #expect(try onlyPacket.finish(now: 100)?.packet?.timestamp == 100)
    var onlyDefaults = builder(address("@", 9))
    #expect(try onlyDefaults.finish(now: 100)?.packet?.records == [address("@", 9)])
    #expect(try onlyDefaults.finish(now: 100)?.packet == nil)
}

@Test("a message over the limit is refused with what each record takes, one over what libtorrent stores is told of")
func budget() throws {
    func filled(_ size: Int) -> [ResourceRecord] {
        // 12 header, 54 the key's name, 2 f, 10 and a length byte for each string.
        let rest = size - 12 - 54 - 2 - 10 - 4
        return [text("f", String(repeating: "x", count: 255), String(repeating: "x", count: 255), String(repeating: "x", count: 255),
                     String(repeating: "x", count: rest - 3 * 255))]
    }
    var builder = builder()
    #expect(try builder.take(filled(996), now: 1).notices == [])
    let outcome = try builder.take(filled(997), now: 1)
    #expect(outcome.packet?.size == 997)
    guard case .notStoredEverywhere(let budget)? = outcome.notices.first else {
        Issue.record("no notice")
        return
    }
    #expect(budget.total == 997)
    #expect(budget.description(zone: key.publicKey) == "12 header, 985 f TXT")
    #expect(try builder.take(filled(1000), now: 1).packet?.size == 1000)
    let failure = try thrownError(PacketBuilder.Failure.self) { _ = try builder.take(filled(1001), now: 1) }
    #expect(failure == .tooLong(MessageBudget(DNSMessage(answers: filled(1001)))))
}

@Test("what stands in for others is published until they have published anything of the name, and then gives way whole")
func fallbacks() throws {
    let fallbacks = [address("@", 1), text("@", "stands in")]
    var builder = PacketBuilder(key: key, composition: Composition(ownSets: [own], fallbacks: fallbacks))
    #expect(try builder.take([text("_iroh", "a")], now: 100).packet?.records == fallbacks + [text("_iroh", "a")])
    #expect(try builder.take(packet(150, address("@", 2)), now: 200).packet?.records == [address("@", 2), text("_iroh", "a")])
    #expect(try builder.take(packet(250, address("x", 3)), now: 300).packet?.records == [address("x", 3)] + fallbacks + [text("_iroh", "a")])
}

@Test("what stands in for others is a reason to sign")
func fallbacksAlone() throws {
    var builder = PacketBuilder(key: key, composition: Composition(ownSets: [own], fallbacks: [address("@", 1)]))
    #expect(try builder.finish(now: 100)?.packet?.records == [address("@", 1)])
}

@Test("a plan tells what is new, what goes, and what is not used")
func plan() throws {
    let live = packet(5, address("@", 1), address("@", 2), text("_iroh", "old"))
    let composition = Composition(ownSets: [own], fallbacks: [address("@", 1), address("@", 3)])
    let records = composition.records(given: [text("_iroh", "new")], over: live.records)
    let plan = PacketPlan(records, fallbacks: composition.fallbacks, live: live)
    #expect(plan.entries.map(\.record) == [address("@", 1), address("@", 2), text("_iroh", "new")])
    #expect(plan.entries.map(\.isNew) == [false, false, true])
    #expect(plan.removed == [text("_iroh", "old")])
    #expect(plan.unused == [address("@", 3)])
    #expect(plan.size == DNSMessage.headerSize + plan.entries.reduce(0) { $0 + $1.size })
    let fresh = PacketPlan(records, live: nil).entries.map(\.isNew)
    #expect(fresh == [true, true, true])
}
