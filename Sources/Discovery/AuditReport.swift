import Crypto
import Mainline
import Pkarr

/// Who has what of a key: every DHT node and relay that was asked, and how their answers compare.
public struct AuditReport: Sendable {
    /// What a source has, compared with the newest valid packet that any has shown. Also the word in objects and tables.
    public enum Outcome: String, CaseIterable, Sendable {
        case newest
        case older
        /// Another packet with the newest one's timestamp.
        case different
        case noPacket = "not-a-packet"
        case nothing
        case invalid
        case refused
        case rateLimited = "rate-limited"
        case failed
        case silent
        case late
        case unreachable

        /// Whether it is a usable answer, be it that there is nothing.
        public var isAnswer: Bool { [.newest, .older, .different, .noPacket, .nothing].contains(self) }
    }

    public let key: PublicKey
    /// When the last answer had come: microseconds since 1970.
    public let time: UInt64
    /// Nodes, closest to the key first, then relays, in the order given.
    public let sources: [AuditedSource]
    /// How the look-up in the DHT ended; nil when the DHT was not used.
    public let lookup: LookupOutcome.Ending?
    public let newest: SignedPacket?
    /// The highest timestamp that has been seen or signed in earlier runs, if that is remembered and there was one.
    public var floor: UInt64?

    public init(of key: PublicKey, _ sources: [AuditedSource], lookup: LookupOutcome.Ending?, time: UInt64) {
        self.key = key
        self.time = time
        self.lookup = lookup
        let target = MutableItem.target(of: key)
        func rank(_ source: AuditedSource) -> NodeID.Distance? {
            if case .node(_, let id?, _) = source.place { id.distance(to: target) } else { nil }
        }
        let nodes = sources.filter { !$0.isRelay }
        let known = nodes.compactMap { source in rank(source).map { (source, $0) } }.sorted { $0.1 < $1.1 }.map(\.0)
        self.sources = known + nodes.filter { rank($0) == nil } + sources.filter(\.isRelay)
        var newest: SignedPacket?
        for source in sources {
            for case .packet(let packet) in [source.answer.finding, source.network?.finding] {
                if newest.map({ packet.isMoreRecent(than: $0) }) ?? true { newest = packet }
            }
        }
        self.newest = newest
    }

    public func outcome(of answer: AuditedSource.Answer) -> Outcome {
        switch answer.finding {
        case .packet(let packet): packet == newest ? .newest : packet.timestamp == newest?.timestamp ? .different : .older
        case .noPacket: .noPacket
        case .nothing: .nothing
        case .invalid: .invalid
        case .refused: .refused
        case .rateLimited: .rateLimited
        case .failed: .failed
        case .silent: .silent
        case .late: .late
        case .unreachable: .unreachable
        }
    }

    public func outcome(of source: AuditedSource) -> Outcome { outcome(of: source.answer) }

    public var nodes: [AuditedSource] { sources.filter { !$0.isRelay } }
    public var relays: [AuditedSource] { sources.filter(\.isRelay) }

    func count(_ sources: [AuditedSource], _ outcome: Outcome) -> Int { sources.count { self.outcome(of: $0) == outcome } }

    /// Nodes that hold the newest packet.
    public var holders: Int { count(nodes, .newest) }

    /// Whether as many nodes as are regarded as enough hold the newest packet.
    public var isWellStored: Bool { holders >= Self.wellStored }

    /// Upstream's threshold (spec/pkarr-wire.md, 3.4).
    public static let wellStored = 10

    /// Relays that have answered with less than the newest packet.
    public var laggingRelays: [RelayURL] {
        relays.compactMap { source in
            guard newest != nil, case .relay(let url) = source.place else { return nil }
            return [.older, .different, .nothing, .noPacket].contains(outcome(of: source)) ? url : nil
        }
    }

    /// The highest sequence of what is signed by the key, or said to be, and is no packet.
    public var invalidSequence: UInt64? {
        sources.flatMap { [$0.answer.finding, $0.network?.finding] }
            .compactMap { if case .noPacket(let sequence, _) = $0 { sequence } else { nil } }.max()
    }

    /// How far the newest packet's timestamp is ahead of this machine's clock, in microseconds.
    public var aheadBy: UInt64? {
        guard let newest, newest.timestamp > time + Self.clockTolerance else { return nil }
        return newest.timestamp - time
    }

    /// Clocks of machines that are kept by NTP differ by less; pkarr's own adds up to 255 µs (spec/pkarr-wire.md, 1.3). One minute is what
    /// pkarr allows where it checks (1.2).
    public static let clockTolerance: UInt64 = 60_000_000
}
