import Platform

/// What a relay grants its clients. Everything that a client can make it keep is bounded by one of these.
public struct RelaySettings: Sendable {
    /// Connections at once, clients and all others.
    public var connections = 16384
    /// Connections at once from one address, an IPv6 address counting as its /64. A household or an office behind one address has no more.
    public var connectionsPerAddress = 256
    /// Addresses that are not limited and see the metrics: the operator's own.
    public var exempt = AddressRange.loopback
    /// Proxies that are believed who their client is.
    public var proxies: [AddressRange] = []
    /// Bytes a second that are read from one client in the long run; nil for no limit.
    public var clientRate: Int?
    /// Bytes a second that are read from all of them.
    public var totalRate: Int?
    /// Bytes that wait for all clients. As it fills up, each client's share shrinks; half as much again is there for those for whom
    /// nothing waits, so that whoever reads keeps getting something.
    public var totalQueuedBytes = 128 << 20
    /// The version that the health page tells.
    public var version = ""

    public init() {}

    /// Frames that wait for one client at most; further ones are dropped, as the reference relay does (spec/iroh-wire.md, 4.4).
    static let queuedFrames = 512
    /// Bytes that wait for one client at most: 160 ms of 100 Mbit/s, beyond which more waiting is only delay.
    static let queuedBytes = 2 << 20
    /// The part of what is free that one client may have.
    static let share = 8
    /// Peers that hear when a client has gone: the last that it sent to. More would let few clients have the relay remember very many.
    static let rememberedRecipients = 1024
    /// Connections of one id beside the active one. Networks change while old connections linger, but not that often.
    static let inactiveConnections = 16

    /// From accepting a connection to a client's proof, TLS included.
    static let handshakeTime = Duration.seconds(30)
    /// Without hearing from a client for this long, it is pinged; a random time from 1 to 5 s is added.
    static let pingAfter = Duration.seconds(15)
    static let pingSpread = Duration.seconds(1).nanoseconds...Duration.seconds(5).nanoseconds
    /// For the answer to a ping.
    static let pongTime = Duration.seconds(5)
    /// For a client to take one message, once its turn has come.
    static let writeTime = Duration.seconds(2)
    /// For a client to take the last bytes and to close its end.
    static let endingTime = Duration.seconds(2)
    /// How often the times above are looked at. They end up to this much later.
    public static let tick = Duration.milliseconds(250)

    /// What clients are told at a restart: to come back within so many milliseconds, spread so that they do not all come at once, and to
    /// try for so long.
    static let reconnectIn: ClosedRange<UInt32> = 0...2000
    static let reconnectFor: UInt32 = 60_000

    /// Bytes of a request's head.
    static let requestHead = 8192
}
