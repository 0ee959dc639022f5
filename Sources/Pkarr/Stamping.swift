import Crypto

/// How the timestamps of packets are chosen: strictly rising, never in the future, and such that a publisher that does not merge is never
/// outranked by what was signed without knowledge of its packet.
public enum Stamping: Sendable {
    /// The present time; one microsecond after the newest packet where that is later. The same input gives the same output.
    case exact
    /// As long as no packet of others is known, the present time; with one, a minute less. Right for one that signs once.
    case deferringWhenMerging
    /// Always a minute less. Right for one that stays, beside a homeserver that may start for the first time.
    case deferring

    /// Microseconds. A homeserver signs its packet when it starts, looks for nodes and only then puts it, which may take half a minute
    /// when many nodes are dead; it does not start at all if most nodes have a later one by then (spec/pkarr-wire.md, 4.1). What is stamped
    /// a minute behind the clock can't be later than a packet that is signed in that time, even if the clocks are some seconds apart.
    public static let deference: UInt64 = 60_000_000
    /// Microseconds. With ``exact``, several packets may be signed at the one time that is given.
    static let exactTolerance: UInt64 = 1_000_000
    /// Microseconds. Two authorities that have seen the same packet would both sign one microsecond after it, and nodes that keep the first
    /// of two items with one sequence would never agree. The message decides how much later each signs: the same records give the very same
    /// packet, others another timestamp. Less than a homeserver takes to start again.
    static let spread: UInt64 = 1 << 16

    /// A timestamp in microseconds since 1970; nil when it would have to be in the future.
    ///
    /// - Parameters:
    ///   - last: The highest timestamp that has been seen or signed.
    ///   - isMerged: Whether a packet of others is known.
    func timestamp(for message: DNSMessage, after last: UInt64?, isMerged: Bool, now: UInt64) -> UInt64? {
        let behind: UInt64
        switch self {
        case .exact: behind = 0
        case .deferringWhenMerging: behind = isMerged ? Stamping.deference : 0
        case .deferring: behind = Stamping.deference
        }
        let wanted = now - min(now, behind)
        guard let last, last >= wanted else { return wanted }
        if case .exact = self { return last < now + Stamping.exactTolerance ? last + 1 : nil }
        guard last < now else { return nil }
        let room = min(now - last, Stamping.spread)
        let digest = sha1(message.wire).prefix(4).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return last + 1 + digest % room
    }
}
