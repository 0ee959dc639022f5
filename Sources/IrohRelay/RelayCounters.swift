import Metrics

/// What a relay counts since its start.
public struct RelayCounters: Equatable, Sendable {
    public internal(set) var connections: UInt64 = 0
    /// Connections closed at once for want of room, in all or for their address.
    public internal(set) var refused: UInt64 = 0
    public internal(set) var badRequests: UInt64 = 0
    /// Answers to requests that were not about relaying.
    public internal(set) var pages: UInt64 = 0
    public internal(set) var admitted: UInt64 = 0
    public internal(set) var denied: UInt64 = 0
    public internal(set) var protocolErrors: UInt64 = 0
    /// Connections ended because a proof or a pong did not come.
    public internal(set) var silent: UInt64 = 0
    /// Frames sent on, each of one or several datagrams, and the bytes of these.
    public internal(set) var relayed: UInt64 = 0
    public internal(set) var relayedBytes: UInt64 = 0
    /// Frames dropped, because nobody has the id, too much waits for it, or the frame could not be sent on.
    public internal(set) var droppedUnknown: UInt64 = 0
    public internal(set) var droppedFull: UInt64 = 0
    public internal(set) var droppedUnusable: UInt64 = 0
    /// Bytes from and to clients, without TLS.
    public internal(set) var bytesReceived: UInt64 = 0
    public internal(set) var bytesSent: UInt64 = 0
    /// Times that reading from a client was paused for a rate.
    public internal(set) var pauses: UInt64 = 0
    /// STUN requests answered.
    public internal(set) var stunAnswers: UInt64 = 0
}

extension RelayHub {
    /// All figures in Prometheus' text format, version 0.0.4.
    var metrics: String {
        var metrics = Metrics(prefix: "quic_relay")
        func count(_ name: String, _ help: String, _ value: UInt64) { metrics.add("\(name)_total", .counter, help, value) }
        metrics.add("clients", .gauge, "Ids that are connected.", clients)
        metrics.add("connections", .gauge, "Connections of any kind.", connections)
        metrics.add("queued_bytes", .gauge, "Bytes that wait for clients to take them.", queuedBytes)
        count("connections", "Connections accepted.", counters.connections)
        count("connections_refused", "Connections closed for want of room, in all or for their address.", counters.refused)
        count("bad_requests", "Requests answered with 400 or 431.", counters.badRequests)
        count("pages", "Requests that were not about relaying.", counters.pages)
        count("clients_admitted", "Clients that proved their id and may use the relay.", counters.admitted)
        count("clients_denied", "Clients that did not prove their id or may not use the relay.", counters.denied)
        count("protocol_errors", "Connections ended because of what a client sent.", counters.protocolErrors)
        count("silent", "Connections ended because a proof or a pong did not come in time.", counters.silent)
        count("frames_relayed", "Frames sent on, each of one or several datagrams.", counters.relayed)
        count("datagram_bytes_relayed", "Bytes of the datagrams sent on.", counters.relayedBytes)
        metrics.add("frames_dropped_total", .counter, "Frames not sent on, by the reason.", [
            ([("reason", "unknown")], counters.droppedUnknown), ([("reason", "full")], counters.droppedFull),
            ([("reason", "unusable")], counters.droppedUnusable),
        ])
        count("received_bytes", "Bytes from clients, without TLS.", counters.bytesReceived)
        count("sent_bytes", "Bytes to clients, without TLS.", counters.bytesSent)
        count("pauses", "Times that a client was not read from, because of a rate.", counters.pauses)
        count("stun_answers", "STUN requests answered.", counters.stunAnswers)
        return metrics.text
    }
}
