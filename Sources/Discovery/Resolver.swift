import Crypto
import EventLoop
import Mainline
import Pkarr

/// Looks for the newest packet of a key on the DHT and on relays, everywhere at once.
///
/// The first packet is given out the moment an authoritative enough set of sources stands behind it, which is when one of these holds:
///
/// - ``Confidence/holders`` DHT nodes hold it, and nobody has shown a more recent one;
/// - the look-up in the DHT is complete: the eight closest nodes that live have answered and most of them agree, or else the twenty closest
///   have answered;
/// - more than half of the relays, and at least ``Confidence/relays``, have answered;
/// - every source has answered or has been given up.
///
/// After that a packet is given out only when it is more recent than all before.
public final class Resolver {
    /// When a packet is authoritative enough.
    public enum Confidence {
        /// As many nodes as libtorrent, most of the public DHT, stores an item at (spec/pkarr-wire.md, 3.4).
        static let holders = 8
        /// A single relay may have an old packet in its cache, or an interest.
        static let relays = 2
    }

    /// What a look-up brings, in this order: any number of packets, each more recent than the one before, then the end.
    public enum Event {
        case packet(SignedPacket)
        case finished(Resolution)
    }

    private let sources: Sources

    public init(_ sources: Sources) { self.sources = sources }

    /// Starts to look.
    ///
    /// - Parameter handler: Never called from within this call.
    /// - Returns: The look-up, which goes on also when nobody keeps it.
    @discardableResult
    public func resolve(_ key: PublicKey, handler: @escaping (Event) -> Void) -> Search {
        Search(for: key, in: sources, handler)
    }
}

/// How a look-up went, once every source has answered or has been given up.
public struct Resolution: Sendable {
    /// The newest valid packet.
    public var packet: SignedPacket?
    /// How many sources gave an answer, be it that nobody has a packet.
    public var answered = 0
    /// Sources without an answer, and why.
    public var failures: [(source: String, reason: String)] = []
    /// The highest sequence of an item of this key that is signed but is no packet. When it is above the packet's timestamp, it is what
    /// the key's owner said last.
    public var invalidSequence: UInt64?
}
