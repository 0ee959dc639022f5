import Crypto
import Pkarr
import Testing

@testable import DNSServer

private func find(_ records: [ResourceRecord], _ text: String, _ type: RecordType = .a) -> Zone.Finding {
    Zone(packet(records)).find(text == "@" ? .root : name(text), type)
}

private func addresses(_ finding: Zone.Finding) -> [UInt8]? {
    guard case .records(let records) = finding else { return nil }
    return records.map { $0.rdata[3] }
}

@Test("records are found by name and type, whatever the case in the packet")
func findsRecords() {
    let records = [address("@"), address("WWW", 2), record("www", .txt, [1, 0x61])]
    #expect(addresses(find(records, "@")) == [1])
    #expect(addresses(find(records, "www")) == [2])
}

@Test("a name without such records differs from one that does not exist, also when it only has names under it")
func noDataAndNoName() {
    let records = [address("a.b")]
    #expect(find(records, "a.b", .aaaa) == .noData)
    #expect(find(records, "b") == .noData)
    #expect(find(records, "@") == .noData)
    #expect(find(records, "c") == .noName)
    #expect(find(records, "x.a.b") == .noName)
    #expect(find([], "@") == .noData)
}

@Test("a wildcard stands for names that do not exist, at any depth (RFC 4592, section 2.2.1)")
func wildcards() {
    let records = [address("*", 9), address("host", 1), address("sub.*", 2), record("*", .txt, [0]), address("a.b", 3)]
    #expect(addresses(find(records, "x")) == [9])
    #expect(addresses(find(records, "x.y.z")) == [9])
    #expect(addresses(find(records, "*")) == [9])
    #expect(find(records, "x", .aaaa) == .noData)
    // Names that exist are not covered, nor is what lies under them.
    #expect(find(records, "host", .txt) == .noData)
    #expect(find(records, "x.host") == .noName)
    #expect(find(records, "b") == .noData)
    #expect(find(records, "x.b") == .noName)
    #expect(find(records, "x.*") == .noName)
}

@Test("an alias counts when the name has nothing of the type itself")
func aliases() {
    let records = [alias("www", "example.com"), record("www", .txt, [1, 0x61]), alias("*.w", "example.org")]
    guard case .alias(_, let target) = find(records, "www") else {
        Issue.record("no alias")
        return
    }
    #expect(target == name("example.com"))
    guard case .records(let texts) = find(records, "www", .txt) else {
        Issue.record("no text")
        return
    }
    #expect(texts.map(\.type) == [.txt])
    guard case .alias = find(records, "x.w") else {
        Issue.record("no alias from a wildcard")
        return
    }
}

@Test("what a packet leaves to name servers is referred to them with their addresses, the nearest first")
func referrals() {
    let zone = alice.zBase32
    let records = [
        record("sub", .ns, name("ns.sub.\(zone)").wire), address("ns.sub", 5), record("@", .ns, name("ns.example").wire), address("www", 1),
    ]
    guard case .referral(let place, let servers, let glue) = find(records, "x.sub") else {
        Issue.record("no referral")
        return
    }
    #expect(place == name("sub") && servers.count == 1 && glue.map(\.rdata) == [[192, 0, 2, 5]])
    #expect(addresses(find(records, "ns.sub")) == [5])
    #expect(addresses(find(records, "www")) == [1])
    guard case .referral(let apex, _, let none) = find(records, "other") else {
        Issue.record("no referral of the key itself")
        return
    }
    #expect(apex == .root && none.isEmpty)
}

@Test("names outside the key's zone are not served")
func foreignNames() {
    let foreign = ResourceRecord(name: name("example.com"), type: .a, timeToLive: 1, rdata: [1, 2, 3, 4])
    let other = ResourceRecord(name: name("x.\(bob)"), type: .a, timeToLive: 1, rdata: [1, 2, 3, 4])
    let zone = Zone(packet([foreign, other]))
    for question in ["@", "example.com", "x", "x.\(bob)"] {
        let found = zone.find(question == "@" ? .root : name(question), .a)
        #expect(found == (question == "@" ? .noData : .noName))
    }
}

@Test("data at which clients would refuse the answer is left out")
func malformedData() {
    let mail = RecordType(rawValue: 15)
    let records = [
        record("@", .a, []), record("@", .a, [1, 2, 3, 4, 5]), address("@", 7), record("@", mail, [0, 1, 0, 9]), record("@", .txt, []),
        record("@", RecordType(rawValue: 250), [1]), record("@", RecordType(rawValue: 6), name("a").wire + name("b").wire + [0]),
    ]
    #expect(addresses(find(records, "@")) == [7])
    for type in [mail, .txt, .soa, RecordType(rawValue: 250)] { #expect(find(records, "@", type) == .noData) }
}

@Test("other classes are not served, the cache-flush bit is dropped")
func classes() {
    var chaos = address("a")
    chaos.classField = 3
    var flush = address("b", 2)
    flush.classField = 0x8001
    #expect(find([chaos, flush], "a") == .noName)
    guard case .records(let records) = find([chaos, flush], "b") else {
        Issue.record("not found")
        return
    }
    #expect(records.map(\.classField) == [1])
}

@Test("a set has one TTL, and no record twice")
func sets() {
    guard case .records(let records) = find([address("a", 1, ttl: 500), address("a", 2, ttl: 30), address("a", 1, ttl: 90)], "a") else {
        Issue.record("not found")
        return
    }
    #expect(records.map(\.timeToLive) == [30, 30])
    #expect(records.map { $0.rdata[3] } == [1, 2])
}

@Test("unknown types pass as they are")
func unknownTypes() {
    let type = RecordType(rawValue: 4711)
    guard case .records(let records) = find([record("a", type, [0xc0, 0x0c, 0xff])], "a", type) else {
        Issue.record("not found")
        return
    }
    #expect(records.map(\.rdata) == [[0xc0, 0x0c, 0xff]])
}

@Test("names are a key's plainly or before a suffix, and what nearly is one is nobody else's")
func places() {
    func place(_ text: String) -> KeyNames.Place {
        var names = KeyNames(suffixes: [name("key"), name("PK.example.org"), name("example.org")])
        return names.place(of: text == "." ? .root : name(text))
    }
    #expect(place("\(alice)") == .key(alice, name: .root, suffix: .root))
    #expect(place("a.b.\(alice)") == .key(alice, name: name("a.b"), suffix: .root))
    #expect(place("a.\(alice).key") == .key(alice, name: name("a"), suffix: name("key")))
    #expect(place("\(alice).pk.example.org") == .key(alice, name: .root, suffix: name("pk.example.org")))
    #expect(place("\(alice).\(bob)") == .key(bob, name: name("\(alice)"), suffix: .root))
    #expect(place("pk.example.org") == .suffix(name("pk.example.org")))
    #expect(place("www.key") == .noKey(suffix: name("key")))
    #expect(place("www.example.org") == .noKey(suffix: name("example.org")))
    #expect(place("example.com") == .elsewhere)
    #expect(place(".") == .elsewhere)
    // The last letter carries one bit; and a letter that z-base-32 lacks.
    #expect(place("\(alice.zBase32.dropLast())b") == .noKey(suffix: .root))
    #expect(place("\(alice.zBase32.dropLast())l") == .noKey(suffix: .root))
}
