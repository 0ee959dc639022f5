import HTTP1
import Ladder
import Platform

/// Where requests go.
enum Destination: Hashable, CustomStringConvertible {
    case homeserver(KeyedHost, UpstreamService)
    case other(HostAndPort)

    var description: String {
        switch self {
        case .homeserver(let host, _): host.name
        case .other(let host): "\(host)"
        }
    }
}

/// A connection to where requests go, kept for the next when one is done.
final class UpstreamLink {
    let destination: Destination
    let wire: Wire
    /// Nil for a host that is no key.
    let path: UpstreamPath?
    /// What goes into `Host`.
    let host: String
    /// What goes into `pubky-host`, where the host is a domain (spec/pkarr-wire.md, 5.4).
    let pubkyHost: String?
    var reader = HeadReader<ResponseHead>()
    /// When it became idle; nil while it has never been.
    var idleSince: Instant?

    /// A connection to a homeserver.
    init(_ wire: Wire, _ connection: UpstreamConnection, for host: KeyedHost, _ service: UpstreamService) {
        destination = .homeserver(host, service)
        self.wire = wire
        path = connection.path
        // Without a port: with one the homeserver would not find the tenant (spec/pkarr-wire.md, 5.5).
        self.host = connection.authority ?? host.name
        pubkyHost = connection.authority == nil ? nil : host.key.zBase32
    }

    /// A connection to a host that is no key.
    init(_ wire: Wire, to host: HostAndPort) {
        destination = .other(host)
        self.wire = wire
        path = nil
        let name = host.host.contains(":") ? "[\(host.host)]" : host.host
        self.host = host.port == 80 ? name : "\(host)"
        pubkyHost = nil
    }

    /// Whether it has carried a request before. Its other end may have closed it by now.
    var isReused: Bool { idleSince != nil }
}
