import Crypto
import Mainline
import Pkarr
import Platform

/// Asks every DHT node on the way to a key, and every relay, what they have of it. All are heard to the end.
public final class Audit {
    private let key: PublicKey
    private let sources: Sources
    private var completion: ((AuditReport) -> Void)?
    private var operation: DHTNode.Operation?
    private var requests: [RelayRequest?]
    private var lookup: LookupOutcome?
    private var relays: [AuditedSource]
    private var pending: Int

    /// Starts the audit, which goes on also when nobody keeps it.
    ///
    /// - Parameter completion: Called once, never from within this call, unless the audit is cancelled first.
    public init(of key: PublicKey, in sources: Sources, completion: @escaping (AuditReport) -> Void) {
        self.key = key
        self.sources = sources
        self.completion = completion
        pending = sources.relays.count + (sources.dht == nil ? 0 : 1)
        precondition(pending > 0, "there is nowhere to look")
        requests = sources.relays.map { _ in nil }
        relays = sources.relays.map { AuditedSource(.relay($0.url), AuditedSource.Answer(.silent)) }
        operation = sources.dht?.get(key, awaitingAll: true, onItem: { _, _ in }) { outcome in
            self.lookup = outcome
            self.settle()
        }
        for index in sources.relays.indices { ask(index) }
    }

    /// Ends the audit; the completion is not called any more. Harmless at the end.
    public func cancel() {
        guard completion != nil else { return }
        completion = nil
        if let operation { sources.dht?.cancel(operation) }
        for request in requests { request?.cancel() }
    }

    /// First what any reader gets, then what is in the relay's DHT: the other way round, the look-up would have filled the cache.
    private func ask(_ index: Int) {
        let relay = sources.relays[index]
        requests[index] = relay.get(key, policy: .usual) { usual in
            self.relays[index].answer = AuditedSource.Answer(usual)
            if case .unusable = usual.holding { return self.settle() }
            self.requests[index] = relay.get(self.key, policy: .network) { network in
                self.relays[index].network = AuditedSource.Answer(network)
                self.settle()
            }
        }
    }

    private func settle() {
        pending -= 1
        guard pending == 0, let completion else { return }
        self.completion = nil
        completion(AuditReport(of: key, nodes + relays, lookup: lookup?.ending, time: WallClock.microseconds))
    }

    private var nodes: [AuditedSource] {
        guard let lookup else { return [] }
        let closest = Set(lookup.closest.map(\.address))
        return lookup.nodes.map { node in
            let answer = AuditedSource.Answer(AuditedSource.Finding(node.finding), roundTrip: node.roundTrip)
            return AuditedSource(.node(node.address, id: node.id, isClosest: closest.contains(node.address)), answer)
        }
    }
}
