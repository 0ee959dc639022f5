import Crypto
import EventLoop
import Iroh
import JSON
import Paths
import Platform
import QUIC
import Tunnel

/// Every way to a peer by itself, and the connection that a client would have.
final class PeerCheck {
    /// For a way by itself, and for each when they are raced.
    private static let wayTimeout: Duration = .seconds(5)
    /// For the first byte of the answer to a request.
    private static let answerTimeout: Duration = .seconds(10)
    /// For a direct path beside a relay. A round of punching takes 3.1 seconds when it finds nothing, and the next begins 5 seconds later.
    private static let punchTimeout: Duration = .seconds(8)
    /// From the move to a path until its round trip is told: some packets are needed to measure it.
    private static let measurement: Duration = .milliseconds(500)

    private(set) var facts: Facts.Peer
    private let driver: EndpointDriver
    private let peer: EndpointAddress
    private let isRequested: Bool
    private let report: (Finding) -> Void
    private let completion: () -> Void
    private var link: PeerLink!
    private var pendingWays = 0
    private var timer: Timer!
    private let started = Instant.now
    private var connected = Instant.now
    private var opened = Instant.now
    private var isRelayed = false, isDirectTold = false
    /// Why there will be no direct path.
    private var hindrance: String?
    private enum Stage { case connecting, requesting, punching, over }
    private var stage = Stage.connecting

    /// - Parameters:
    ///   - facts: What is known of the peer so far.
    ///   - isRequested: Whether a request is sent. Without, a stream is opened all the same: a listener tells its addresses to nobody else.
    ///   - completion: Called once, never from within this call.
    init(
        _ peer: EndpointAddress, _ facts: Facts.Peer, over driver: EndpointDriver, isRequested: Bool, report: @escaping (Finding) -> Void,
        completion: @escaping () -> Void
    ) {
        self.peer = peer
        self.facts = facts
        self.driver = driver
        self.isRequested = isRequested
        self.report = report
        self.completion = completion
        timer = Timer(on: driver.loop) { [unowned self] in handleTimeout() }
        let ways = Dialer.order(peer)
        link = PeerLink(peer, over: driver, timeout: Self.wayTimeout + Dialer.headStart * ways.count) { [unowned self] in take($0) }
        link.openStream { [unowned self] result in if case .success(let stream) = result { use(stream) } }
        for way in ways { dial(way) }
    }

    func close() {
        stage = .over
        timer.stop()
        link.close()
    }

    // Each way by itself

    private func dial(_ way: Target) {
        let one = switch way {
        case .address(let address): EndpointAddress(id: peer.id, addresses: [address])
        case .relay(let url): EndpointAddress(id: peer.id, relayURLs: [url])
        }
        pendingWays += 1
        let begun = Instant.now
        _ = Dialer(one, over: driver, timeout: Self.wayTimeout) { [self] outcome in
            let time = Instant.now - begun
            switch outcome {
            case .connected(let connection, _):
                tell(way, .answered, after: time, reason: nil)
                connection.handler = nil
                connection.close(code: 0, now: .now)
            case .failed(let failures): tell(way, .failed, after: failures.first?.after ?? time, reason: failures.first?.reason ?? "no answer")
            case .wrongPeer: tell(way, .wrongPeer, after: time, reason: "proved to be somebody else")
            }
            pendingWays -= 1
            endIfDone()
        }
    }

    private func tell(_ way: Target, _ outcome: Facts.Way.Outcome, after time: Duration, reason: String?) {
        let isRelay = if case .relay = way { true } else { false }
        facts.ways.append(Facts.Way(isRelay: isRelay, outcome))
        report(Finding(
            .dial, outcome == .answered, after: time,
            [("path", .string(way.pathWord)), ("remote", .string("\(way)")), ("reason", .text(reason))],
            "\(isRelay ? "through " : "")\(way): \(reason ?? "the peer answers and proves its key")"))
    }

    // The connection

    private func take(_ event: PeerLink.Event) {
        switch event {
        case .connected(let connection, _):
            // One that was lost is made anew for a stream that waits; what has been told stands.
            guard stage == .connecting else { return }
            connected = .now
            isRelayed = connection.path.isRelayed
            facts.connection = isRelayed ? .relayed : .direct
            let remote = driver.target(of: connection.path)
            report(Finding(
                .connection, true, after: connected - started,
                [("peer", .string(peer.id.zBase32)), ("path", .string(connection.path.word)), ("remote", .string("\(remote)")),
                 ("rtt_ms", .milliseconds(connection.roundTrip)), ("alpn", .string(connection.alpn)), ("reason", .null)],
                "\(isRelayed ? "through " : "directly to ")\(remote), round trip \(connection.roundTrip.map(brief) ?? "unknown"), key proved"))
        case .moved(let connection):
            guard !connection.path.isRelayed, isRelayed, stage != .over, !facts.isPunched else { return }
            (facts.connection, facts.isPunched) = (.direct, true)
            let time = Instant.now - connected
            Timer.once(on: driver.loop, after: Self.measurement) { [weak self] in self?.tellDirect(connection, after: time) }
        case .failed(let error): fail(error)
        case .closed(let reason):
            guard stage != .over else { return }
            if stage == .connecting {
                facts.connection = .failed(isRefused: false)
                tellUnconnected("the connection was lost: \(reason)")
            }
            if stage == .punching { tellRelayed("the connection was lost: \(reason)") }
            stage = .over
            endIfDone()
        }
    }

    private func fail(_ error: PeerLink.LinkError) {
        switch error {
        case .wrongPeer: facts.connection = .wrongPeer
        case .unreachable(let failures): facts.connection = .failed(isRefused: failures.contains(where: \.isRefusal))
        case .noAddresses, .lost, .overloaded: facts.connection = .failed(isRefused: false)
        }
        guard stage == .connecting else { return }
        stage = .over
        tellUnconnected("\(error)")
        endIfDone()
    }

    private func tellUnconnected(_ reason: String) {
        report(Finding(
            .connection, false, after: .now - started,
            [("peer", .string(peer.id.zBase32)), ("path", .null), ("remote", .null), ("rtt_ms", .null), ("alpn", .null),
             ("reason", .string(reason))], reason))
    }

    private func use(_ stream: QUIC.Stream) {
        guard stage == .connecting else { return }
        opened = .now
        guard isRequested else {
            stream.finish()
            return awaitDirect()
        }
        stage = .requesting
        facts.isServed = false
        timer.start(after: Self.answerTimeout)
        _ = FirstByte(stream, of: peer.id) { [weak self] in self?.take($0) }
    }

    private func take(_ result: Result<String, FirstByte.Failure>) {
        guard stage == .requesting else { return }
        switch result {
        case .success(let line):
            facts.isServed = true
            report(Finding(
                .request, true, after: .now - opened,
                [("answer", .string(line)), ("since_start_ms", .milliseconds(.now - started)), ("reason", .null)], "first byte of the answer: \(line)"))
        case .failure(let failure): tellUnserved(failure.reason)
        }
        awaitDirect()
    }

    private func tellUnserved(_ reason: String) {
        report(Finding(
            .request, false, after: .now - opened, [("answer", .null), ("since_start_ms", .null), ("reason", .string(reason))],
            "request: \(reason)"))
    }

    // A direct path

    private func awaitDirect() {
        stage = .punching
        guard isRelayed, driver.puncher.isWanted else {
            stage = .over
            return endIfDone()
        }
        if isDirectTold {
            stage = .over
            return endIfDone()
        }
        // One that has been found is about to be told.
        guard !facts.isPunched else { return }
        if let hindrance { return giveUpDirect(because: hindrance) }
        timer.start(after: max(.zero, Self.punchTimeout - (.now - connected)))
    }

    private func handleTimeout() {
        switch stage {
        case .connecting, .over: break
        case .requesting:
            tellUnserved("no answer within \(brief(Self.answerTimeout))")
            awaitDirect()
        case .punching: giveUpDirect(because: "no direct path was found within \(brief(Self.punchTimeout))")
        }
    }

    /// Waits no longer for a direct path.
    func giveUpDirect(because reason: String) {
        hindrance = reason
        guard stage == .punching, !facts.isPunched else { return }
        timer.stop()
        tellRelayed(reason)
        stage = .over
        endIfDone()
    }

    private func tellDirect(_ connection: Connection, after time: Duration) {
        guard !isDirectTold, !connection.isClosed else { return }
        guard !connection.path.isRelayed else {
            (facts.connection, facts.isPunched) = (.relayed, false)
            return giveUpDirect(because: "a direct path was found and died at once")
        }
        isDirectTold = true
        let remote = driver.target(of: connection.path)
        report(Finding(
            .direct, true, after: time, [("remote", .string("\(remote)")), ("rtt_ms", .milliseconds(connection.roundTrip)), ("reason", .null)],
            "moved to \(remote), round trip \(connection.roundTrip.map(brief) ?? "unknown")"))
        guard stage == .punching else { return }
        stage = .over
        endIfDone()
    }

    private func tellRelayed(_ reason: String) {
        report(Finding(
            .direct, false, after: .now - connected, [("remote", .null), ("rtt_ms", .null), ("reason", .string(reason))], reason))
    }

    private func endIfDone() {
        guard stage == .over, pendingWays == 0 else { return }
        // What the last event was part of has to end first.
        Timer.once(on: driver.loop, after: .zero, completion)
    }
}
