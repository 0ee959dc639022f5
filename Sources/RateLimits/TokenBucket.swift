import Platform

/// Paces one thing to a quota, without a clock: how soon may it be done again?
///
/// The generic cell rate algorithm, as in ``AddressLimiter``: kept is the one moment at which all that has been done would have been due.
public struct TokenBucket: Sendable {
    public let quota: Quota
    private var due = Instant(nanoseconds: 0)

    /// The bucket is full at first.
    public init(_ quota: Quota) { self.quota = quota }

    /// The earliest moment for the next time.
    public var nextTurn: Instant {
        let credit = quota.interval * UInt64(quota.burst - 1)
        return Instant(nanoseconds: due.nanoseconds - min(due.nanoseconds, credit))
    }

    /// Takes a token; false when there is none, which changes nothing.
    public mutating func take(now: Instant) -> Bool {
        guard nextTurn <= now else { return false }
        due = max(due, now) + .nanoseconds(Int64(quota.interval))
        return true
    }
}
