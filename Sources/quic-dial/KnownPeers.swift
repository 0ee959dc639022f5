import Crypto
import EventLoop
import Iroh
import Platform
import Tunnel

/// The peers known and the connections to them.
///
/// Those of endpoint lines stay. Of those that came with a request there may be ever more, so the ones that were not used lately are
/// forgotten, and connections without a stream to them end after a while.
final class KnownPeers {
    /// Peers known by requests alone.
    static let mostRequested = 256
    /// How long a connection is kept that nobody has a stream on: the next page is often from the same homeserver.
    static let idleTime: Duration = .seconds(60)
    private static let interval: Duration = .seconds(15)

    private struct Known {
        let link: PeerLink
        var isGiven: Bool
        var lastUse: Instant
    }

    private var peers: [PublicKey: Known] = [:]
    private var timer: Timer!

    init(on loop: EventLoop) {
        timer = Timer(on: loop) { [unowned self] in endIdle(now: .now) }
        timer.letLoopEnd()
    }

    var count: Int { peers.count }

    /// The link to a peer of whom something is known; asking counts as use.
    func link(to peer: PublicKey) -> PeerLink? {
        peers[peer]?.lastUse = .now
        return peers[peer]?.link
    }

    /// Takes a new peer, or a new place of one.
    ///
    /// - Parameters:
    ///   - isGiven: Whether a line told of it rather than a request.
    ///   - make: Makes the link to a new peer.
    /// - Returns: Nil when there is no room, all peers being in use.
    func learn(_ endpoint: EndpointAddress, isGiven: Bool, make: () -> PeerLink) -> PeerLink? {
        let now = Instant.now
        if var known = peers[endpoint.id] {
            if known.link.peer != endpoint { known.link.peer = endpoint }
            (known.isGiven, known.lastUse) = (known.isGiven || isGiven, now)
            peers[endpoint.id] = known
            return known.link
        }
        guard isGiven || makeRoom() else { return nil }
        let link = make()
        peers[endpoint.id] = Known(link: link, isGiven: isGiven, lastUse: now)
        if !isGiven { timer.start(after: Self.interval, every: Self.interval) }
        return link
    }

    private func makeRoom() -> Bool {
        let requested = peers.filter { !$0.value.isGiven }
        guard requested.count >= Self.mostRequested else { return true }
        guard let oldest = requested.filter({ !$0.value.link.isBusy }).min(by: { $0.value.lastUse < $1.value.lastUse }) else { return false }
        oldest.value.link.close()
        peers[oldest.key] = nil
        return true
    }

    private func endIdle(now: Instant) {
        for (key, known) in peers where !known.isGiven {
            if known.link.isBusy { peers[key]?.lastUse = now } else if now - known.lastUse >= Self.idleTime { known.link.close() }
        }
    }

    func close() { for known in peers.values { known.link.close() } }
}
