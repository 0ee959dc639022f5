import Iroh

/// How much may wait, and how much goes at once.
public enum RelaySendLimits {
    /// Bytes that wait for the network, beside those that the kernel holds; further datagrams are dropped, as at any bottleneck. It is
    /// 40 ms of 100 Mbit/s: QUIC's own congestion control finds the rest. Four times as many bring no more throughput, only delay.
    public static let queuedBytes = 512 << 10
    /// Bytes of datagrams in one frame. iroh's clients send 14520, take as many as the protocol allows, and cut them for themselves; half
    /// as many cost a tenth of the throughput. Where the network is slow QUIC gives fewer at once.
    public static let batchBytes = RelayFrame.largestSent - RelayDatagramHeader.batchLength
    /// Datagrams, or batches of them, that wait while there is no connection, and how long: a handshake's first flights, which are of no
    /// use later, when QUIC has sent them anew.
    static let waiting = 32
    static let waitingTime = Duration.seconds(3)
}
