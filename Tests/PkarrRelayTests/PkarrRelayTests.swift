import Crypto
import Pkarr
import Platform
import Testing

@testable import PkarrRelay

private func key(_ number: UInt8) -> SecretKey { SecretKey(seed: [UInt8](repeating: number, count: 32))! }

private func packet(_ key: SecretKey, _ timestamp: UInt64, ttls: [UInt32] = []) -> SignedPacket {
    let name = DomainName(labels: [Array(key.publicKey.zBase32.utf8)])!
    let records = ttls.map { ResourceRecord(name: name, type: .a, timeToLive: $0, rdata: [192, 0, 2, 1]) }
    return try! SignedPacket(signing: DNSMessage(answers: records), timestamp: timestamp, with: key)
}

@Test("the cache keeps the most recent packet of a key, and when it was last seen")
func cacheKeepsNewest() {
    var cache = PacketCache(capacity: 4)
    let key = key(1)
    cache.note(packet(key, 5), seenAt: 100)
    cache.note(packet(key, 4), seenAt: 200)
    #expect(cache.entry(for: key.publicKey, now: 1000) == .init(packet: packet(key, 5), lastSeen: 100))
    cache.note(packet(key, 5), seenAt: 300)
    #expect(cache.entry(for: key.publicKey, now: 1000)?.lastSeen == 300)
    cache.note(packet(key, 6), seenAt: 400)
    #expect(cache.entry(for: key.publicKey, now: 1000)?.packet.timestamp == 6)
    #expect(cache.count == 1)
}

@Test("the cache is bounded and what was used lately stays")
func cacheIsBounded() {
    var cache = PacketCache(capacity: 4)
    for number in 1...100 {
        cache.note(packet(key(UInt8(number)), 1), seenAt: 1)
        #expect(cache.entry(for: key(1).publicKey, now: 1000) != nil)
        #expect(cache.count <= 4)
    }
    #expect(cache.entry(for: key(100).publicKey, now: 1000) != nil)
    #expect(cache.entry(for: key(50).publicKey, now: 1000) == nil)
}

@Test("a packet is fresh for its smallest TTL, within bounds", arguments: [
    ([], 300), ([30], 300), ([7200, 3600], 3600), ([100_000], 86400), ([0, 4_294_967_295], 300),
] as [([UInt32], UInt32)])
func lifetimes(ttls: [UInt32], seconds: UInt32) {
    let entry = PacketCache.Entry(packet: packet(key(1), 1, ttls: ttls), lastSeen: 1000)
    #expect(entry.packet.lifetime == seconds)
    #expect(entry.isFresh(at: 999 + UInt64(seconds) * 1_000_000))
    #expect(!entry.isFresh(at: 1000 + UInt64(seconds) * 1_000_000))
}

@Test("dates of HTTP are written and read", arguments: [
    (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
    (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
] as [(UInt64, String)])
func dates(seconds: UInt64, text: String) {
    #expect(HTTPDate.text(microseconds: seconds * 1_000_000 + 999_999) == text)
    #expect(HTTPDate.microseconds(text) == seconds * 1_000_000)
}

@Test("what is no date of HTTP is refused", arguments: [
    "", "yesterday", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET",
    "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
])
func refusedDates(text: String) {
    #expect(HTTPDate.microseconds(text) == nil)
}

@Test("a timestamp beyond the calendar is written as its last second")
func farFuture() {
    #expect(HTTPDate.text(microseconds: UInt64(Int64.max)) == "Fri, 31 Dec 9999 23:59:59 GMT")
}
