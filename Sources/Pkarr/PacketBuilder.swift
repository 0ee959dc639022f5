import Crypto

/// The single authority over a key's packet: merges the records it is given into the newest packet that anyone has published, and signs.
///
/// Whoever publishes last under a key wins, so two publishers that don't know of each other erase each other's records. This one keeps
/// every record that is not its own, byte for byte (spec/pkarr-wire.md, 8.2). Its own are, set by set, those it is given, and the sets
/// named at its making.
public struct PacketBuilder {
    /// What came of an event.
    public struct Outcome: Equatable, Sendable {
        /// The packet to publish from now on; nil when the one before still holds.
        public var packet: SignedPacket?
        public var notices: [Notice] = []
    }

    public enum Notice: Hashable, Sendable {
        /// The newest packet seen is stamped this many microseconds in the future. The new one is stamped right after it.
        case seenInFuture(UInt64)
        /// The message is larger than what most of the public DHT stores.
        case notStoredEverywhere(MessageBudget)
        /// Somebody published a newer packet than ours, without our records.
        case overwritten
    }

    public enum Failure: Error, Hashable {
        /// The message has more than ``SignedPacket/maximumMessageSize`` bytes.
        case tooLong(MessageBudget)
        /// The newest packet seen has the last timestamp there is.
        case noLaterTimestamp
    }

    private let key: SecretKey
    private let ownSets: Set<RRset>
    private let defaults: [ResourceRecord]
    /// What the latest line of records brought.
    private var given: [ResourceRecord]?
    /// The newest packet that somebody else has signed, or we in an earlier life.
    private var base: SignedPacket?
    private var newestSeen: UInt64?
    private var signedTimestamps: Set<UInt64> = []
    private var latest: SignedPacket?
    private var hasTriedToSign = false

    /// - Parameters:
    ///   - ownSets: Sets that belong to this authority alone: once it has been given records, what others say in these sets is dropped.
    ///   - defaults: Records to publish until records of the same set are given.
    public init(key: SecretKey, ownSets: Set<RRset>, defaults: [ResourceRecord] = []) {
        self.key = key
        self.ownSets = ownSets
        self.defaults = defaults
    }

    /// Takes the records to publish from now on, in place of those given before. Signs if that changes anything.
    ///
    /// - Parameter now: Microseconds since 1970.
    public mutating func take(_ records: [ResourceRecord], now: UInt64) throws(Failure) -> Outcome {
        given = records
        return latest?.records.hasSameRecords(as: composition) == true ? Outcome() : try sign(now: now)
    }

    /// Takes a packet of the key that somebody has published. Signs if it changes what has to be published, or if it has replaced our
    /// packet; one that replaced it but says the same is passed on as it is, so that two authorities over the same records don't
    /// outbid each other for ever. Until there are records to merge, packets are only remembered.
    ///
    /// - Precondition: The packet is the key's.
    public mutating func take(_ packet: SignedPacket, now: UInt64) throws(Failure) -> Outcome {
        precondition(packet.publicKey == key.publicKey)
        newestSeen = max(newestSeen ?? 0, packet.timestamp)
        if packet == latest || signedTimestamps.contains(packet.timestamp) && packet.timestamp != latest?.timestamp { return Outcome() }
        if let base, !packet.isMoreRecent(than: base) { return Outcome() }
        base = packet
        guard let latest else { return isGivenNothing ? Outcome() : try sign(now: now) }
        let hasReplacedOurs = packet.isMoreRecent(than: latest)
        let composition = composition
        if hasReplacedOurs, packet.records.hasSameRecords(as: composition) {
            self.latest = packet
            return Outcome(packet: packet)
        }
        if !hasReplacedOurs, latest.records.hasSameRecords(as: composition) { return Outcome() }
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

    private var isGivenNothing: Bool { given == nil && defaults.isEmpty }

    /// The records to publish: first what is kept of the packet seen, in its order, then our own.
    private var composition: [ResourceRecord] {
        let given = given ?? []
        let replacedDefaults = given.sets
        let own = defaults.filter { !replacedDefaults.contains($0.set) } + given
        var replaced = own.sets
        if self.given != nil || !replaced.isDisjoint(with: ownSets) { replaced.formUnion(ownSets) }
        return (base?.records ?? []).filter { !replaced.contains($0.set) } + own
    }

    private mutating func sign(now: UInt64) throws(Failure) -> Outcome {
        hasTriedToSign = true
        let message = DNSMessage(answers: composition)
        let budget = MessageBudget(message)
        guard budget.total <= SignedPacket.maximumMessageSize else { throw .tooLong(budget) }
        let last = [newestSeen, latest?.timestamp].compactMap { $0 }.max()
        let packet: SignedPacket
        do throws(SignedPacketError) {
            packet = try SignedPacket(signing: message, timestamp: max(now, last.map { $0 + 1 } ?? 0), with: key)
        } catch {
            // The size has been checked, and no packet seen has a timestamp over 2^63 - 1.
            throw .noLaterTimestamp
        }
        signedTimestamps.insert(packet.timestamp)
        latest = packet
        var outcome = Outcome(packet: packet)
        if let newestSeen, newestSeen > now, !signedTimestamps.contains(newestSeen) { outcome.notices.append(.seenInFuture(newestSeen - now)) }
        if budget.total > SignedPacket.storedEverywhereMessageSize { outcome.notices.append(.notStoredEverywhere(budget)) }
        return outcome
    }
}
