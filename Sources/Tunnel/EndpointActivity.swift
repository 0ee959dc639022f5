import Metrics
import Paths
import Platform
import QUIC

/// What an endpoint of a tunnel does, and has done since it was made.
public struct EndpointActivity: Sendable {
    /// Connections by the path that they are on.
    public var direct = 0
    public var relayed = 0
    /// Streams that are open.
    public var streams = 0
    public var counters: EndpointCounters
    public var traffic: Traffic

    public init(of driver: EndpointDriver) {
        counters = driver.endpoint.counters
        traffic = driver.traffic
        for connection in driver.endpoint.establishedConnections {
            if connection.path.isRelayed { relayed += 1 } else { direct += 1 }
            streams += connection.streamCount
        }
    }

    /// For a person, such as `3 connections (2 direct, 1 relayed), 7 streams, 12.4 MB received, 1.9 GB sent, 4 handshakes failed, 2 path changes`.
    public var text: String {
        let received = spelled(bytes: traffic.received.direct + traffic.received.relayed)
        let sent = spelled(bytes: traffic.sent.direct + traffic.sent.relayed)
        return "\(direct + relayed) connections (\(direct) direct, \(relayed) relayed), \(streams) streams, \(received) received, \(sent) sent, "
            + "\(counters.failedHandshakes) handshakes failed, \(counters.pathChanges) path changes"
    }

    public func write(to metrics: inout Metrics) {
        metrics.add("connections", .gauge, "Connections by the path that they are on.", [
            (labels: [("path", "direct")], value: direct), (labels: [("path", "relay")], value: relayed),
        ])
        metrics.add("streams", .gauge, "Streams that are open.", streams)
        metrics.add("connections_total", .counter, "Connections whose peer has proved its key.", counters.connections)
        metrics.add("handshakes_failed_total", .counter, "Connections that came to nothing.", counters.failedHandshakes)
        metrics.add("path_changes_total", .counter, "How often a connection has gone on along another path.", counters.pathChanges)
        metrics.add("received_bytes_total", .counter, "Bytes of datagrams that have come.", Self.byPath(traffic.received))
        metrics.add("sent_bytes_total", .counter, "Bytes of datagrams that were sent.", Self.byPath(traffic.sent))
    }

    private static func byPath(_ bytes: Traffic.Bytes) -> [(labels: [(String, String)], value: UInt64)] {
        [(labels: [("path", "direct")], value: bytes.direct), (labels: [("path", "relay")], value: bytes.relayed)]
    }
}

/// How many streams got no local end, by why.
public struct Refusals: Sendable, Equatable {
    public private(set) var counts: [String: Int] = [:]

    public init() {}

    public var total: Int { counts.values.reduce(0, +) }

    /// - Parameter reason: One of a few words.
    mutating func count(_ reason: String) { counts[reason, default: 0] += 1 }

    /// For a person, such as `3 streams refused (2 no-bridge, 1 refused)`.
    public var text: String {
        let list = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return "\(total) streams refused" + (list.isEmpty ? "" : " (\(list))")
    }

    public func write(to metrics: inout Metrics) {
        metrics.add("streams_refused_total", .counter, "Streams that were refused, by reason.",
                    counts.sorted { $0.key < $1.key }.map { (labels: [("reason", $0.key)], value: $0.value) })
    }
}
