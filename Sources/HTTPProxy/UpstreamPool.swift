import EventLoop
import Platform

/// Connections that wait for the next request to the same place.
final class UpstreamPool {
    /// A browser opens six to a host.
    static let mostOfOne = 8
    static let most = 256
    /// Servers keep a connection from 5 s to minutes; one that they have closed is seen here at once, unless its end is on its way.
    static let idleTime: Duration = .seconds(30)
    /// A request that must not be sent twice only goes over a connection that no server has had a reason to close yet.
    static let certainTime: Duration = .seconds(4)

    /// The newest last.
    private var idle: [Destination: [UpstreamLink]] = [:]
    private(set) var count = 0

    /// The connection that was used last.
    ///
    /// - Parameter isRepeatable: Whether the request may be sent again when the connection has ended meanwhile.
    func take(to destination: Destination, isRepeatable: Bool, now: Instant) -> UpstreamLink? {
        guard let link = idle[destination]?.last, let since = link.idleSince, isRepeatable || now - since < Self.certainTime else { return nil }
        remove(link)
        return link
    }

    /// Keeps a connection until it is asked for, or it ends.
    func give(_ link: UpstreamLink, now: Instant) {
        link.idleSince = now
        if let links = idle[link.destination], links.count >= Self.mostOfOne { close(links[0]) }
        if count >= Self.most, let oldest = idle.values.lazy.compactMap(\.first).min(by: { $0.idleSince! < $1.idleSince! }) { close(oldest) }
        idle[link.destination, default: []].append(link)
        count += 1
        // Nothing is expected: whatever comes, the end above all, makes it useless.
        link.wire.handler = { [unowned self, unowned link] _ in close(link) }
        link.wire.wait(for: .readable)
    }

    /// Closes those that have waited too long.
    func expire(now: Instant) {
        for links in idle.values { for link in links where now - link.idleSince! >= Self.idleTime { close(link) } }
    }

    func close() { for links in idle.values { for link in links { close(link) } } }

    private func close(_ link: UpstreamLink) {
        remove(link)
        link.wire.close()
    }

    private func remove(_ link: UpstreamLink) {
        idle[link.destination]?.removeAll { $0 === link }
        if idle[link.destination]?.isEmpty == true { idle[link.destination] = nil }
        count -= 1
    }
}
