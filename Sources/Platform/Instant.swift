import Glibc

/// A moment on the monotonic clock, in nanoseconds since an arbitrary start. Protocol code takes it as a parameter and
/// never reads a clock.
public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Later than all others.
    public static let never = Instant(nanoseconds: .max)

    /// The present moment (`CLOCK_MONOTONIC`).
    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: UInt64(max(0, Int64(instant.nanoseconds) &+ duration.nanoseconds)))
    }

    public static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(Int64(bitPattern: left.nanoseconds &- right.nanoseconds))
    }
}

extension Duration {
    /// Whole nanoseconds, saturating.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : product &+ attoseconds / 1_000_000_000
    }

    /// Whole milliseconds, rounded up so that a timer never fires early.
    public var millisecondsRoundedUp: UInt64 { nanoseconds <= 0 ? 0 : (UInt64(nanoseconds) + 999_999) / 1_000_000 }

    /// Milliseconds with fraction, for output.
    public var milliseconds: Double { Double(nanoseconds) / 1e6 }
}

/// The calendar clock.
public enum WallClock {
    /// Microseconds since 1970: pkarr's unit.
    public static var microseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }

    /// Whole seconds since 1970.
    public static var seconds: UInt64 { microseconds / 1_000_000 }
}
