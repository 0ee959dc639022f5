import Crypto
import Mainline
import Pkarr

/// One look-up for the packet of a key, see ``Resolver``.
public final class Search {
    private let sources: Sources
    private var handler: ((Resolver.Event) -> Void)?
    private var operation: DHTNode.Operation?
    private var requests: [RelayRequest] = []
    private var findings: Findings

    init(for key: PublicKey, in sources: Sources, _ handler: @escaping (Resolver.Event) -> Void) {
        self.sources = sources
        self.handler = handler
        findings = Findings(relays: sources.relays.count, asksDHT: sources.dht != nil)
        precondition(findings.pending > 0, "there is nowhere to look")
        // The callbacks keep this object until the end.
        operation = sources.dht?.get(key) { item, node in
            self.findings.note(item, from: node)
            self.tell()
        } completion: { outcome in
            self.findings.note(outcome)
            self.tell()
        }
        for relay in sources.relays {
            requests.append(relay.get(key) { answer in
                self.findings.note(answer.holding, from: relay.url)
                self.tell()
            })
        }
    }

    /// Ends the look-up; the handler is not called any more. Harmless at the end.
    public func cancel() {
        guard handler != nil else { return }
        handler = nil
        if let operation { sources.dht?.cancel(operation) }
        for request in requests { request.cancel() }
    }

    private func tell() {
        if let packet = findings.takePacket() { handler?(.packet(packet)) }
        guard findings.pending == 0, let handler else { return }
        self.handler = nil
        handler(.finished(findings.resolution))
    }
}
