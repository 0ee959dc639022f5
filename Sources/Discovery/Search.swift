import Crypto
import Mainline
import Pkarr

/// One look-up for the packet of a key, see ``Resolver``.
public final class Search {
    private let key: PublicKey
    private let sources: Sources
    private var handler: ((Resolver.Event) -> Void)?
    private var operation: DHTNode.Operation?
    private var requests: [RelayRequest] = []

    private var resolution = Resolution()
    private var pending = 0
    private var relaysAnswered = 0
    private var isLookupComplete = false
    /// Nodes that hold the newest packet.
    private var holders: Set<Contact> = []
    /// The last packet given out.
    private var given: SignedPacket?

    init(for key: PublicKey, in sources: Sources, _ handler: @escaping (Resolver.Event) -> Void) {
        self.key = key
        self.sources = sources
        self.handler = handler
        pending = sources.relays.count + (sources.dht == nil ? 0 : 1)
        precondition(pending > 0, "there is nowhere to look")
        // The callbacks keep this object until the end.
        operation = sources.dht?.get(key, onItem: { item, node in self.take(item, from: node) }) { outcome in self.take(outcome) }
        for relay in sources.relays {
            requests.append(relay.get(key) { holding in self.take(holding, from: relay.url) })
        }
    }

    /// Ends the look-up; the handler is not called any more. Harmless at the end.
    public func cancel() {
        guard handler != nil else { return }
        handler = nil
        if let operation { sources.dht?.cancel(operation) }
        for request in requests { request.cancel() }
    }

    private func take(_ item: MutableItem, from node: Contact) {
        guard let packet = try? SignedPacket(item) else { return note(invalidSequence: UInt64(item.sequence)) }
        note(packet)
        if packet == resolution.packet { holders.insert(node) }
        giveIfConfident()
    }

    private func take(_ outcome: LookupOutcome) {
        if outcome.answers.isEmpty {
            resolution.failures.append(("the DHT", outcome.ending.problem ?? "no node answered"))
        } else {
            resolution.answered += 1
            isLookupComplete = outcome.ending == .complete
        }
        settle()
    }

    private func take(_ holding: RelayClient.Holding, from relay: RelayURL) {
        switch holding {
        case .packet(let packet): note(packet)
        case .nothing(let sequence): sequence.map(note(invalidSequence:))
        case .unusable(let reason): resolution.failures.append((relay.description, reason))
        }
        if case .unusable = holding {} else {
            resolution.answered += 1
            relaysAnswered += 1
        }
        settle()
    }

    private func note(_ packet: SignedPacket) {
        guard resolution.packet.map({ packet.isMoreRecent(than: $0) }) ?? true else { return }
        resolution.packet = packet
        holders = []
    }

    private func note(invalidSequence sequence: UInt64) { resolution.invalidSequence = max(sequence, resolution.invalidSequence ?? 0) }

    private func settle() {
        pending -= 1
        giveIfConfident()
        guard pending == 0, let handler else { return }
        self.handler = nil
        handler(.finished(resolution))
    }

    private var isConfident: Bool {
        holders.count >= Resolver.Confidence.holders || isLookupComplete || pending == 0
            || (relaysAnswered >= Resolver.Confidence.relays && relaysAnswered * 2 > sources.relays.count)
    }

    private func giveIfConfident() {
        guard let packet = resolution.packet, packet != given, given != nil || isConfident else { return }
        given = packet
        handler?(.packet(packet))
    }
}
