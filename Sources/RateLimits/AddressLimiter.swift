import Platform

/// Holds each address to a quota, in bounded memory and without a clock.
///
/// The generic cell rate algorithm: kept of an address is one moment, the one at which all it has done would have been due at the quota's
/// pace. It may run ahead of the present by the burst. An IPv6 address counts as its /64, since every subscriber has at least that much
/// (RFC 6177) and could else come from a new address each time; an IPv4-mapped one counts as the IPv4 address.
public struct AddressLimiter: Sendable {
    public enum Verdict: Equatable, Sendable {
        case admitted
        /// Too early; the same would be admitted after this long.
        case refused(retryAfter: Duration)
    }

    /// Addresses that are remembered: all that can use up a quota of one a second within hours from one machine's network, in 2 MB.
    public static let defaultCapacity = 32768

    private let quota: Quota?
    private let exempt: [AddressRange]
    // Whoever is forgotten has a fresh burst, so a flood from more addresses than there is room for makes the limit lenient to them and
    // never strict to others.
    private var dues: RecentlyUsed<IPAddress, UInt64>

    /// - Parameters:
    ///   - quota: Nil admits everything.
    ///   - exempt: Addresses that are always admitted.
    ///   - capacity: Addresses remembered at most.
    public init(_ quota: Quota?, exempt: [AddressRange] = [], capacity: Int = AddressLimiter.defaultCapacity) {
        self.quota = quota
        self.exempt = exempt
        dues = RecentlyUsed(capacity: capacity)
    }

    /// Addresses remembered at present.
    public var count: Int { dues.count }

    /// Whether the address may do it once more; if so, it is counted.
    public mutating func admit(_ ip: IPAddress, now: Instant) -> Verdict {
        guard let quota else { return .admitted }
        let ip = ip.unmapped
        if exempt.contains(where: { $0.contains(ip) }) { return .admitted }
        let subscriber = ip.isV6 ? ip.masked(to: 64) : ip
        let due = max(dues.value(for: subscriber) ?? 0, now.nanoseconds)
        let earliest = due - min(due, quota.interval * UInt64(quota.burst - 1))
        let isAdmitted = earliest <= now.nanoseconds
        if isAdmitted { dues.set(due + quota.interval, for: subscriber) }
        return isAdmitted ? .admitted : .refused(retryAfter: .nanoseconds(Int64(earliest - now.nanoseconds)))
    }
}
