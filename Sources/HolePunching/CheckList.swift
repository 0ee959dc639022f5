import Platform
import QUIC

/// The paths that a round probes, and when (RFC 8445, section 6.1.2, whose check list has pairs; our sockets send from all their addresses).
struct CheckList {
    /// After the probe before it. The first goes through a NAT that the peer has not opened yet; the second meets its probe, which has come
    /// over a relay and half a round trip; the others are for loss and for relays far away. Six probes in all.
    static let pauses: [Duration] = [.milliseconds(100), .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800)]
    /// Addresses that the peer's probes came from and that it has not named: those that its NAT makes for us.
    static let mostPeerReflexive = 4

    private struct Check {
        var path: NetworkPath
        var sent = 0
        /// Never once all have been sent.
        var due: Instant
    }

    private var checks: [Check] = []
    private var peerReflexive = 0

    /// Has more paths probed, at once.
    mutating func add(_ paths: [NetworkPath], now: Instant) {
        for path in paths where !contains(path) { checks.append(Check(path: path, due: now)) }
    }

    /// When the next probe is due.
    var deadline: Instant? { checks.map(\.due).min().flatMap { $0 == .never ? nil : $0 } }

    /// Has the path probed soon, since the peer's probe came along it.
    mutating func trigger(_ path: NetworkPath, now: Instant) {
        if let index = checks.firstIndex(where: { $0.path.leads(whereLeads: path) }) {
            if checks[index].sent <= Self.pauses.count { checks[index].due = now }
        } else if peerReflexive < Self.mostPeerReflexive {
            peerReflexive += 1
            checks.append(Check(path: path, due: now))
        }
    }

    /// Has the path, which works, probed no more.
    mutating func finish(_ path: NetworkPath) {
        for index in checks.indices where checks[index].path.leads(whereLeads: path) { (checks[index].sent, checks[index].due) = (.max, .never) }
    }

    /// The paths to be probed now.
    mutating func takeDue(now: Instant) -> [NetworkPath] {
        var due: [NetworkPath] = []
        for index in checks.indices where checks[index].due <= now {
            due.append(checks[index].path)
            let sent = checks[index].sent
            checks[index].due = sent < Self.pauses.count ? now + Self.pauses[sent] : .never
            checks[index].sent += 1
        }
        return due
    }

    private func contains(_ path: NetworkPath) -> Bool { checks.contains { $0.path.leads(whereLeads: path) } }
}
