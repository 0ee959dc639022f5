import Crypto

/// The single authority over a key's packet: merges the records it is given into the newest packet that anyone has published, and signs.
///
/// Whoever publishes last under a key wins, so two publishers that don't know of each other erase each other's records. This one keeps
/// every record that is not its own, byte for byte (spec/pkarr-wire.md, 8.2). Its own are, set by set, those it is given, and the sets
/// named at its making. What this guarantees together with the publisher, and what it can't, is in keyhole-merging(7).
public struct PacketBuilder {
    /// What came of an event.
    public struct Outcome: Equatable, Sendable {
        /// The packet to publish from now on; nil when the one before still holds.
        public var packet: SignedPacket?
        /// The timestamp of the newest packet of others that ``packet`` takes into account; nil when none was known.
        public var previous: UInt64?
        /// Timestamps after ``previous`` of packets that it takes into account as well, rising: earlier ones of ours, and those that are
        /// known to lack something.
        public var known: [UInt64] = []
        public var notices: [Notice] = []
    }

    public enum Notice: Hashable, Sendable {
        /// The message is larger than what most of the public DHT stores.
        case notStoredEverywhere(MessageBudget)
        /// Somebody published a newer packet than ours, without our records.
        case overwritten
    }

    public enum Failure: Error, Hashable {
        /// The message has more than ``SignedPacket/maximumMessageSize`` bytes.
        case tooLong(MessageBudget)
        /// A packet has been seen or signed whose timestamp this is. It is not in the past yet, and nothing is ever signed with a
        /// timestamp in the future: a homeserver that starts would find its own packet outranked.
        case outranked(by: UInt64)
        /// The newest packet seen has the last timestamp there is.
        case noLaterTimestamp
    }

    private let key: SecretKey
    private let composition: Composition
    private let stamping: Stamping
    /// What the latest line of records brought.
    private var given: [ResourceRecord]?
    /// The newest packet that somebody else has signed, or we in an earlier life.
    private var base: SignedPacket?
    private var newestSeen: UInt64?
    private var signedTimestamps: Set<UInt64> = []
    /// The last of them, rising.
    private var lastSigned: [UInt64] = []
    /// Packets that are known to have been made without knowledge of another one.
    private var incomplete: Set<UInt64> = []
    private var latest: SignedPacket?
    private var hasTriedToSign = false

    public init(key: SecretKey, composition: Composition, stamping: Stamping = .exact) {
        self.key = key
        self.composition = composition
        self.stamping = stamping
    }

    /// Takes up what an earlier run has remembered: never to sign at a timestamp or below, and the newest packet that was seen.
    public mutating func remember(floor: UInt64, packet: SignedPacket?) {
        newestSeen = max(newestSeen ?? 0, floor)
        guard let packet, base.map({ packet.isMoreRecent(than: $0) }) ?? true, !signedTimestamps.contains(packet.timestamp) else { return }
        base = packet
    }

    /// Takes the records to publish from now on, in place of those given before. Signs if that changes anything.
    ///
    /// - Parameter now: Microseconds since 1970.
    public mutating func take(_ records: [ResourceRecord], now: UInt64) throws(Failure) -> Outcome {
        given = records
        return latest?.records.hasSameRecords(as: self.records) == true ? Outcome() : try settle(now: now)
    }

    /// Takes a packet of the key that somebody has published. Signs if it changes what has to be published, or if it has replaced our
    /// packet; one that says the same is passed on as it is, so that two authorities over the same records don't outbid each other for
    /// ever. Until there are records to merge, packets are only remembered.
    ///
    /// - Parameter other: The timestamp of a packet that was published without knowledge of this one, as a receipt tells. If that is
    ///   ours, or the newest, it is this packet whose records are kept, though it be older.
    /// - Precondition: The packet is the key's.
    public mutating func take(_ packet: SignedPacket, missingIn other: UInt64? = nil, now: UInt64) throws(Failure) -> Outcome {
        precondition(packet.publicKey == key.publicKey)
        newestSeen = max(newestSeen ?? 0, packet.timestamp)
        if let other { incomplete.insert(other) }
        if isKnown(packet, missingIn: other) {
            guard let latest, latest.timestamp == other else { return Outcome() }
            // Ours was refused because of the other: it is given again, now that the other is taken into account.
            return base.map { $0.isMoreRecent(than: latest) } ?? false ? try sign(now: now) : telling(latest)
        }
        base = packet
        guard let latest else { return isGivenNothing ? Outcome() : try settle(now: now) }
        let hasReplacedOurs = packet.isMoreRecent(than: latest)
        let saysTheSame = latest.records.hasSameRecords(as: records)
        if hasReplacedOurs, packet.records.hasSameRecords(as: records), !isInFuture(packet, now) { return pass(packet) }
        if saysTheSame, !hasReplacedOurs { return latest.timestamp == other ? telling(latest) : Outcome() }
        var outcome = try sign(now: now)
        if hasReplacedOurs { outcome.notices.append(.overwritten) }
        return outcome
    }

    /// Signs what there is at the end of input, unless something has been signed, or tried, before.
    ///
    /// - Returns: Nil when there is nothing to sign.
    public mutating func finish(now: UInt64) throws(Failure) -> Outcome? {
        if hasTriedToSign { return Outcome() }
        return try renew(now: now)
    }

    /// Signs what there is with a new timestamp.
    ///
    /// - Returns: Nil when there is nothing to sign.
    public mutating func renew(now: UInt64) throws(Failure) -> Outcome? {
        isGivenNothing && base == nil ? nil : try sign(now: now)
    }

    /// Whether a packet brings nothing: it is ours, or known to lack something, or older than what has been seen.
    private func isKnown(_ packet: SignedPacket, missingIn other: UInt64?) -> Bool {
        if packet == latest || signedTimestamps.contains(packet.timestamp) && packet.timestamp != latest?.timestamp { return true }
        if incomplete.contains(packet.timestamp), packet.timestamp != other { return true }
        return base.map { $0.isMoreRecent(than: packet) && !incomplete.contains($0.timestamp) } ?? false
    }

    private var isGivenNothing: Bool { given == nil && composition.isEmpty }

    private var records: [ResourceRecord] { composition.records(given: given, over: base?.records ?? []) }

    /// Passes the newest packet on if it says already what is to be published, else signs.
    private mutating func settle(now: UInt64) throws(Failure) -> Outcome {
        if latest == nil, let base, base.timestamp == newestSeen, !isInFuture(base, now), base.records.hasSameRecords(as: records) {
            return pass(base)
        }
        return try sign(now: now)
    }

    private mutating func pass(_ packet: SignedPacket) -> Outcome {
        hasTriedToSign = true
        latest = packet
        return telling(packet)
    }

    private func telling(_ packet: SignedPacket) -> Outcome {
        let previous = base?.timestamp
        let known = Set(lastSigned).union(incomplete).filter { $0 > previous ?? 0 && $0 != packet.timestamp }
        return Outcome(packet: packet, previous: previous, known: known.sorted())
    }

    /// Nodes don't hold what has been replaced so often since.
    private static let mostKnown = 32

    private func isInFuture(_ packet: SignedPacket, _ now: UInt64) -> Bool { packet.timestamp > now }

    private mutating func sign(now: UInt64) throws(Failure) -> Outcome {
        hasTriedToSign = true
        let message = DNSMessage(answers: records)
        let budget = MessageBudget(message)
        guard budget.total <= SignedPacket.maximumMessageSize else { throw .tooLong(budget) }
        let last = [newestSeen, latest?.timestamp].compactMap { $0 }.max()
        guard last != UInt64(Int64.max) else { throw .noLaterTimestamp }
        guard let timestamp = stamping.timestamp(for: message, after: last, isMerged: base != nil, now: now) else { throw .outranked(by: last ?? 0) }
        let packet: SignedPacket
        // The size has been checked, and no timestamp seen is over 2^63 - 1.
        do throws(SignedPacketError) { packet = try SignedPacket(signing: message, timestamp: timestamp, with: key) } catch { throw .noLaterTimestamp }
        signedTimestamps.insert(packet.timestamp)
        lastSigned = lastSigned.suffix(Self.mostKnown) + [packet.timestamp]
        latest = packet
        var outcome = telling(packet)
        if budget.total > SignedPacket.storedEverywhereMessageSize { outcome.notices.append(.notStoredEverywhere(budget)) }
        return outcome
    }
}
