import Crypto

/// What an endpoint offers and demands. The defaults are iroh's where a peer sees them (spec/iroh-wire.md, 3.3).
public struct Configuration: Sendable {
    /// Application protocols, most wanted first, at most 16 names of 1 to 255 bytes. A client offers the first.
    public var alpn: [String]
    /// A connection is given up when nothing was heard for this long, or for as long as the peer says if that is shorter (iroh's 30 s). A
    /// client that was suspended for a minute or two finds its connection as it left it; one that has gone without a word is remembered for
    /// three minutes, which costs a listener 60 KB for each, and never more than ``connectionLimit`` of them. A dialler gives up a peer
    /// that does not answer much sooner (`PathKeeper`).
    public var idleTimeout: Duration = .seconds(180)
    /// A PING goes out when nothing was sent for this long: well under the 30 s after which common NATs forget a UDP mapping.
    public var keepAlive: Duration = .seconds(5)
    /// A handshake takes a few round trips and, on a lossy path, some probe time-outs.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Round trip assumed until one is measured. The RFC's 333 ms would hold back every loss repair of the handshake.
    public var initialRoundTrip: Duration = .milliseconds(100)
    /// Flow-control window of a stream in bytes, at first and at most. It doubles as long as the reader keeps up and the window is what
    /// limits the sender; the limit carries 1 Gbit/s over 50 ms and is what a stalled reader can make us hold.
    public var streamWindow: UInt64 = 512 << 10
    public var streamWindowLimit: UInt64 = 6 << 20
    /// The same for a connection: all its streams together. Bytes that wait unread count only from the limit on, so that a stalled stream
    /// does not stop the others; twice the limit is what a peer can make us hold.
    public var connectionWindow: UInt64 = 1 << 20
    public var connectionWindowLimit: UInt64 = 12 << 20
    /// Streams that a peer may have open at once: more than a browser opens, with 100 as the least that people test with.
    public var streams: UInt64 = 256
    /// Connections that may be in their handshake before a new client has to prove its address by Retry (RFC 9000, 8.1.2).
    public var retryThreshold = 64
    /// Connections that may be in their handshake at all; beyond, Initials are dropped.
    public var handshakeLimit = 4096
    /// What each connection derives from its keys for another protocol between the two ends: how many bytes, and the label they are for
    /// (RFC 5705). Nil derives nothing.
    public var exporter: (label: String, length: Int)?
    /// Connections at once.
    public var connectionLimit = 16384

    public init(alpn: [String]) { self.alpn = alpn }

    /// Whether every ALPN name fits on the wire.
    public var isValid: Bool {
        (1...16).contains(alpn.count) && alpn.allSatisfy { (1...255).contains($0.utf8.count) }
    }
}
