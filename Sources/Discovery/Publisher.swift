import EventLoop
import Mainline
import Pkarr

/// Publishes packets on the DHT and on relays, everywhere at once (spec/pkarr-wire.md, 2.4 and 3.4).
public final class Publisher {
    private let sources: Sources

    public init(_ sources: Sources) { self.sources = sources }

    /// Publishes a packet, which by its type has been verified.
    ///
    /// - Parameters:
    ///   - previous: The timestamp of the packet of this key that was stored before, if known.
    ///   - completion: Called once, when every relay and node has answered or has been given up. Never from within this call.
    public func publish(_ packet: SignedPacket, previous: UInt64?, completion: @escaping (Receipt) -> Void) {
        var pending = sources.relays.count + (sources.dht == nil ? 0 : 1)
        precondition(pending > 0, "there is nowhere to publish to")
        var put: PutOutcome?
        var publications = [RelayClient.Publication?](repeating: nil, count: sources.relays.count)
        func settle() {
            pending -= 1
            guard pending == 0 else { return }
            let relays = zip(sources.relays, publications).map { Receipt.Relay(url: $0.url, publication: $1!) }
            completion(Receipt(packet: packet, dht: put, relays: relays))
        }
        sources.dht?.put(MutableItem(packet)) { outcome in
            put = outcome
            settle()
        }
        for (index, relay) in sources.relays.enumerated() {
            relay.put(packet, previous: previous) { publication in
                publications[index] = publication
                settle()
            }
        }
    }
}
