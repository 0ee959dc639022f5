/// How much an endpoint has received and sent, in bytes of datagrams: of QUIC, of hole punching, and of STUN.
public struct Traffic: Sendable, Equatable {
    /// Bytes by the kind of path.
    public struct Bytes: Sendable, Equatable {
        public var direct: UInt64 = 0
        public var relayed: UInt64 = 0

        subscript(isRelayed: Bool) -> UInt64 {
            get { isRelayed ? relayed : direct }
            set { if isRelayed { relayed = newValue } else { direct = newValue } }
        }
    }

    public var received = Bytes()
    public var sent = Bytes()

    public init() {}
}
