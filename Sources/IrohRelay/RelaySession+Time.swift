import Crypto
import Iroh
import Platform

extension RelaySession {
    /// Acts on time that has passed.
    func advance(now: Instant) {
        if let stalledSince, now - stalledSince >= RelaySettings.writeTime { return closed(.slow, now: now) }
        if let deadline, now >= deadline, !isPaused {
            if case .ending = phase { return closed(.left, now: now) }
            hub.counters.silent += 1
            // Whoever has not even sent a request understands no frame.
            if case .request = phase { return closed(.silent, now: now) }
            return end(.silent, status: 1001, now: now)
        }
        guard case .relaying = phase, awaitedPong == nil, !isPaused, now - lastHeard >= pingAfter else { return }
        let bytes = randomBytes(8)
        awaitedPong = bytes
        deadline = now + RelaySettings.pongTime
        send(.ping(bytes), now: now)
    }

    /// Tells a client of version 2 its status, and one of version 1 what is wrong.
    func tell(_ status: RelayFrame.Status, now: Instant) {
        switch (version, status) {
        case (.v2, _): send(.status(status), now: now)
        case (.v1, .healthy): send(.health(""), now: now)
        case (.v1, _): send(.health("another connection with the same id gets the messages"), now: now)
        }
    }
}
