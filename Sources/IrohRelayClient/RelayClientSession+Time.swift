import Crypto
import Iroh
import Platform

extension RelayClientSession {
    /// When ``advance(now:)`` has something to do.
    public var deadline: Instant? {
        if let handshakeUntil { return handshakeUntil }
        guard isConnected else { return nil }
        if let ping { return max(ping.until, lastHeard + pongTime) }
        return min(lastHeard + Self.pingAfter, unansweredSince.map { $0 + Self.pingAfterSending } ?? lastHeard + Self.pingAfter)
    }

    private var pongTime: Duration {
        let (shortest, longest) = (Self.pongTime.lowerBound, Self.pongTime.upperBound)
        return roundTrip.map { min(max($0 * Self.pongRoundTrips, shortest), longest) } ?? longest
    }

    /// Acts on time that has passed.
    ///
    /// - Throws: Why the connection can't go on.
    public func advance(now: Instant) throws(RelayLinkFailure) {
        guard let deadline, now >= deadline else { return }
        if handshakeUntil != nil { throw .silent("no connection within \(Self.handshakeTime.components.seconds) s") }
        // Behind much that waits a pong comes late; a relay that lets us hear something meanwhile is alive.
        if ping != nil { throw .silent("no pong within \(Int(pongTime.milliseconds)) ms") }
        sendPing(now: now)
    }

    /// Pings a relay that has been silent for a moment, because there is reason to doubt that it can be reached.
    public func check(now: Instant) {
        guard isConnected, ping == nil, now - lastHeard >= Self.leastDoubt else { return }
        sendPing(now: now)
    }

    func sendPing(now: Instant) {
        let bytes = randomBytes(8)
        ping = (bytes, now, now + pongTime)
        enqueue(.ping(bytes))
    }
}
