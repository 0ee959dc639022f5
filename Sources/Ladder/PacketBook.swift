import Crypto
import Pkarr
import Platform

/// The packets of homeservers and users as far as they are known, for a bounded time.
struct PacketBook {
    /// The TTL of a packet is the least of its records', within these bounds: those of pkarr's own caches are longer, but here a stale one
    /// costs a failed attempt.
    static let shortestLife: Duration = .seconds(60), longestLife: Duration = .seconds(300)
    /// That there is none is believed for this long: a page asks fifty times.
    static let lifeOfNothing: Duration = .seconds(5)
    /// A question is repeated after this long. Who resolves has given up by then, or has lost it.
    static let patience: Duration = .seconds(20)
    static let capacity = 1024
    /// Questions without an answer. They stand in a pipe until they are read: with more, whoever asks and whoever answers could come to wait
    /// for each other to read.
    static let mostAsked = 256

    private struct Entry {
        var packet: SignedPacket?
        var problem: LadderError?
        var came: Instant
        var expires: Instant
    }

    private var entries = RecentlyUsed<PublicKey, Entry>(capacity: PacketBook.capacity)
    private var asked: [PublicKey: (isFresh: Bool, at: Instant)] = [:]
    private var nextSweep = Instant(nanoseconds: 0)

    /// - Parameter since: What came earlier does not count.
    mutating func knowledge(of key: PublicKey, since: Instant, now: Instant) -> Walk.Knowledge {
        guard let entry = entries.value(for: key), entry.expires > now, entry.came >= since else { return .unknown }
        return entry.packet.map(Walk.Knowledge.packet) ?? .missing
    }

    /// Why there is no packet.
    mutating func problem(of key: PublicKey) -> LadderError? { entries.value(for: key)?.problem }

    /// Notes that a packet is wanted.
    ///
    /// - Returns: Whether somebody has to be asked now: nobody is yet, and others don't come first.
    mutating func wants(_ key: PublicKey, isFresh: Bool, now: Instant) -> Bool {
        if let earlier = asked[key], now < earlier.at + Self.patience, earlier.isFresh || !isFresh { return false }
        guard asked[key] != nil || hasRoom(now: now) else { return false }
        asked[key] = (isFresh, now)
        return true
    }

    private mutating func hasRoom(now: Instant) -> Bool {
        if asked.count < Self.mostAsked { return true }
        // A thousand may ask in vain each time that one has got its answer.
        guard now >= nextSweep else { return false }
        nextSweep = now + .seconds(1)
        asked = asked.filter { now < $0.value.at + Self.patience }
        return asked.count < Self.mostAsked
    }

    mutating func take(_ packet: SignedPacket, now: Instant) {
        asked[packet.publicKey] = nil
        // An older one may be all that is to be found now; it is no news, but what is known stays true.
        let known = entries.value(for: packet.publicKey)?.packet
        let newest = known.map { $0.isMoreRecent(than: packet) ? $0 : packet } ?? packet
        let life = newest.records.map { Duration.seconds(Int64($0.timeToLive)) }.min() ?? Self.shortestLife
        entries.set(Entry(packet: newest, came: now, expires: now + min(max(life, Self.shortestLife), Self.longestLife)), for: packet.publicKey)
    }

    /// No packet can be had. What is known and has not expired stays so.
    mutating func take(_ problem: LadderError, of key: PublicKey, now: Instant) {
        asked[key] = nil
        if var known = entries.value(for: key), known.packet != nil, known.expires > now {
            known.came = now
            return entries.set(known, for: key)
        }
        entries.set(Entry(problem: problem, came: now, expires: now + Self.lifeOfNothing), for: key)
    }
}
