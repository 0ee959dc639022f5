import EventLoop
import Mainline
import Pkarr
import Platform

/// Publishes packets on the DHT and on relays, everywhere at once (spec/pkarr-wire.md, 2.4 and 3.4).
public final class Publisher {
    /// Publications on the DHT that a node takes: as many look-ups as it runs at the same time.
    public static let jobs = 1...MainlineNode.mostRunning

    let dht: DHTNode?
    private let loop: EventLoop
    private var dhtPace: SourcePace
    private(set) var relays: [RelayQueue] = []
    private var timer: Timer?

    /// Called when ``hasRoom`` may have become true.
    public var onRoom: () -> Void = {}

    /// - Parameter jobs: Publications on the DHT at the same time.
    public init(_ sources: Sources, on loop: EventLoop, jobs: Int) {
        precondition(sources.dht != nil || !sources.relays.isEmpty, "there is nowhere to publish to")
        precondition(Self.jobs.contains(jobs))
        dht = sources.dht
        self.loop = loop
        dhtPace = SourcePace(mostUnderWay: jobs)
        relays = sources.relays.map { relay in RelayQueue(relay, on: loop) { [unowned self] in onRoom() } }
        timer = Timer(on: loop) { [unowned self] in onRoom() }
    }

    /// Whether the next packet would find its way at once. The DHT sets the pace, and where it is not used or gives no answer, the
    /// fastest relay: what the others cannot take they are not asked about.
    public var hasRoom: Bool {
        if dht != nil {
            let state = dhtPace.state(now: .now)
            if state == .ready { return true }
            if !dhtPace.isGone { return false }
        }
        return relays.contains { $0.hasRoom }
    }

    /// Publishes a packet, which by its type has been verified.
    ///
    /// - Parameters:
    ///   - basis: What its author knew, if that is known: then it replaces nothing else, and is read back. Without it, it replaces
    ///     whatever is older.
    ///   - previous: The timestamp of the packet of this key that was stored before, if known; for old relays.
    ///   - completion: Called once, when every relay and node has answered or has been given up. Never from within this call.
    public func publish(
        _ packet: SignedPacket, onto basis: PublicationBasis?, previous: UInt64? = nil, completion: @escaping (Receipt) -> Void
    ) {
        if let basis { return CarefulPublication(packet, onto: basis, by: self, completion: completion).proceed() }
        let previous = previous.map { PublicationBasis(previous: $0) }
        var pending = relays.count + (dht == nil ? 0 : 1)
        var put: PutOutcome?
        var publications = [RelayClient.Publication?](repeating: nil, count: relays.count)
        func settle() {
            pending -= 1
            guard pending == 0 else { return }
            let answers = zip(relays, publications).map { Receipt.Relay(url: $0.relay.url, publication: $1!) }
            completion(Receipt(packet: packet, dht: put, relays: answers))
        }
        if let dht {
            self.put(packet, onto: nil, on: dht) { outcome in
                put = outcome
                settle()
            }
        }
        for (index, relay) in relays.enumerated() {
            relay.put(packet, replacing: previous) { publication in
                publications[index] = publication
                settle()
            }
        }
    }

    func put(_ packet: SignedPacket, onto basis: PutBasis?, on dht: DHTNode, completion: @escaping (PutOutcome) -> Void) {
        // Where the DHT does answer, one more is no harm: a packet that had to wait for a lock, or that is put a second time.
        guard !dhtPace.isGone || dhtPace.state(now: .now) == .ready else {
            // Relays have let this packet in while nobody answers in the DHT.
            return Timer.once(on: loop, after: .zero) { completion(PutOutcome(lookup: LookupOutcome(ending: .noAnswer))) }
        }
        dhtPace.begin()
        dht.put(MutableItem(packet), onto: basis) { [self] outcome in
            dhtPace.end(outcome.lookup.hasAnswers ? .answered : .noAnswer, now: .now, chance: .random(in: 0...1))
            if case .gone(let moment) = dhtPace.state(now: .now) { timer?.start(after: moment - .now) }
            completion(outcome)
            onRoom()
        }
    }
}
