import EventLoop
import Platform

/// Bytes that go both ways untouched, each direction to its own end.
final class RawExchange {
    private let client: Wire
    private let server: Wire
    private let completion: (_ isWhole: Bool) -> Void
    private var toServer = Flow.tunnel
    private var toClient = Flow.tunnel
    private var serverState = Flow.State.waitsForSource
    private var clientState = Flow.State.waitsForSource
    private var isOver = false
    /// Whether anything has happened since somebody last looked.
    var hasProgressed = false

    /// - Parameter completion: Called once, with whether both directions came to their end.
    init(_ client: Wire, _ server: Wire, completion: @escaping (_ isWhole: Bool) -> Void) {
        self.client = client
        self.server = server
        self.completion = completion
    }

    func start() {
        server.handler = { [unowned self] readiness in
            let exchange = self
            exchange.pump(toClient: readiness.contains(.readable), toServer: readiness.contains(.writable))
        }
        pump(toClient: true, toServer: true)
    }

    func clientReady(_ readiness: Readiness) { pump(toClient: readiness.contains(.writable), toServer: readiness.contains(.readable)) }

    private func pump(toClient pumpsToClient: Bool, toServer pumpsToServer: Bool) {
        guard !isOver else { return }
        hasProgressed = true
        do throws(Flow.Failure) {
            if pumpsToServer { try pump(&toServer, &serverState, from: client, to: server) }
            if pumpsToClient { try pump(&toClient, &clientState, from: server, to: client) }
        } catch { return end(isWhole: false) }
        if serverState == .finished && clientState == .finished { return end(isWhole: true) }
        client.wait(for: Self.readiness(reading: serverState, writing: clientState))
        server.wait(for: Self.readiness(reading: clientState, writing: serverState))
    }

    private func pump(_ flow: inout Flow, _ state: inout Flow.State, from source: Wire, to sink: Wire) throws(Flow.Failure) {
        guard state != .finished else { return }
        state = try flow.run(from: source, to: sink)
        if state == .finished { sink.finishOutput() }
    }

    private static func readiness(reading: Flow.State, writing: Flow.State) -> Readiness {
        var readiness: Readiness = []
        if reading == .waitsForSource { readiness.insert(.readable) }
        if writing == .waitsForSink { readiness.insert(.writable) }
        return readiness
    }

    private func end(isWhole: Bool) {
        isOver = true
        completion(isWhole)
    }
}
