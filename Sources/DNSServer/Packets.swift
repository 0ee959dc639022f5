import Pkarr
import Platform

/// A packet and when it was last seen on the network.
public struct SeenPacket: Equatable, Sendable {
    public var packet: SignedPacket
    /// Microseconds since 1970.
    public var lastSeen: UInt64

    public init(packet: SignedPacket, lastSeen: UInt64) {
        self.packet = packet
        self.lastSeen = lastSeen
    }
}

/// What a look-up for a key's packet has come to.
public enum PacketFinding: Equatable, Sendable {
    case found(SeenPacket)
    /// Those who would have it say that there is none.
    case nobodyHasIt
    /// Nobody could be asked, and why.
    case unreachable(String)
}

/// The present on both clocks: the monotonic one for limits and time-outs, the calendar's for the age of packets.
public struct Moment: Sendable {
    public var instant: Instant
    /// Microseconds since 1970.
    public var microseconds: UInt64

    public init(instant: Instant, microseconds: UInt64) {
        self.instant = instant
        self.microseconds = microseconds
    }

    public static var now: Moment { Moment(instant: .now, microseconds: WallClock.microseconds) }
}

extension SeenPacket {
    /// Seconds for which a packet is served without looking for a newer one, whatever its records say: pkdns's own bounds.
    static let lifetimes: ClosedRange<UInt32> = 60...86400
    /// Seconds after its lifetime for which a packet is better than nothing (RFC 8767, section 5, suggests one to three days).
    static let staleLifetime: UInt64 = 86400
    /// Seconds for which clients may keep a stale record (RFC 8767, section 4).
    static let staleTimeToLive: UInt32 = 30

    /// Seconds since it was last seen; none when the calendar has been set back.
    func age(at moment: Moment) -> UInt64 { moment.microseconds <= lastSeen ? 0 : (moment.microseconds - lastSeen) / 1_000_000 }

    /// - Parameter smallest: The smallest TTL of its records.
    func lifetime(smallest: UInt32?) -> UInt64 {
        UInt64(min(max(smallest ?? 0, Self.lifetimes.lowerBound), Self.lifetimes.upperBound))
    }
}
