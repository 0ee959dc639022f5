import Crypto
import Iroh
import Platform

/// The dialling side's connection to one peer, as far as ``KnownPeers`` have to do with it.
public protocol PeerConnecting: AnyObject {
    var peer: EndpointAddress { get set }
    /// Whether somebody has a stream or waits for one.
    var isBusy: Bool { get }
    /// Ends the connection in order; the next stream makes a new one.
    func close(reason: String)
}

extension PeerLink: PeerConnecting {}

/// The peers known and the connections to them.
///
/// Those of endpoint lines stay. Of those that came with a request there may be ever more, so the ones that were not used lately are
/// forgotten, and connections without a stream to them end after a while.
public struct KnownPeers<Link: PeerConnecting> {
    /// Peers known by requests alone.
    public static var mostRequested: Int { 256 }
    /// How long a connection is kept that nobody has a stream on: the next page is often from the same homeserver.
    static var idleTime: Duration { .seconds(60) }
    /// How often to look, see ``endIdle(now:)``.
    public static var interval: Duration { .seconds(15) }

    private struct Known {
        let link: Link
        var isGiven: Bool
        var lastUse: Instant
    }

    private var peers: [PublicKey: Known] = [:]

    public init() {}

    public var count: Int { peers.count }

    /// The link to a peer of whom something is known; asking counts as use.
    public mutating func link(to peer: PublicKey, now: Instant) -> Link? {
        peers[peer]?.lastUse = now
        return peers[peer]?.link
    }

    /// Takes a new peer, or a new place of one.
    ///
    /// - Parameters:
    ///   - isGiven: Whether a line told of it rather than a request.
    ///   - make: Makes the link to a new peer.
    /// - Returns: Nil when there is no room, all peers being in use.
    public mutating func learn(_ endpoint: EndpointAddress, isGiven: Bool, now: Instant, make: () -> Link) -> Link? {
        if var known = peers[endpoint.id] {
            if known.link.peer != endpoint { known.link.peer = endpoint }
            (known.isGiven, known.lastUse) = (known.isGiven || isGiven, now)
            peers[endpoint.id] = known
            return known.link
        }
        guard isGiven || makeRoom() else { return nil }
        let link = make()
        peers[endpoint.id] = Known(link: link, isGiven: isGiven, lastUse: now)
        return link
    }

    private mutating func makeRoom() -> Bool {
        let requested = peers.filter { !$0.value.isGiven }
        guard requested.count >= Self.mostRequested else { return true }
        guard let oldest = requested.filter({ !$0.value.link.isBusy }).min(by: { $0.value.lastUse < $1.value.lastUse }) else { return false }
        oldest.value.link.close(reason: "")
        peers[oldest.key] = nil
        return true
    }

    /// Ends the connections that nobody has used for a while. What is in use when this looks is in use until then.
    public mutating func endIdle(now: Instant) {
        for (key, known) in peers where !known.isGiven {
            if known.link.isBusy { peers[key]?.lastUse = now } else if now - known.lastUse >= Self.idleTime { known.link.close(reason: "") }
        }
    }

    public func closeAll() { for known in peers.values { known.link.close(reason: "") } }
}
