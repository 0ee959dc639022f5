import Crypto
import EventLoop
import Iroh
import Platform
import Tunnel

/// One connection being looked for: packets, then a race of ways; if all fail, packets past every cache and a race of what is new there.
final class LadderRequest: UpstreamRequest {
    private let route: Connector.Route
    private let connector: Connector
    private let started = Instant.now
    private let deadline: Instant
    private var completion: ((Result<UpstreamConnection, LadderError>) -> Void)?
    private var timer: Timer!
    private var race: Race?
    private var running: [Int: any Attempt] = [:]
    /// When the packets have to have come that count now.
    private var packetsSince = Instant(nanoseconds: 0)
    private var isSecondRound = false
    private var tried: Set<Way> = []
    /// What failed in earlier races.
    private var failures: [UpstreamAttempt] = []
    private var refused: [UpstreamAttempt] = []
    private var wasTurnedAway = false
    /// How many failures of this race the log has heard of.
    private var told = 0

    init(_ route: Connector.Route, _ connector: Connector, _ completion: @escaping (Result<UpstreamConnection, LadderError>) -> Void) {
        self.route = route
        self.connector = connector
        self.completion = completion
        deadline = started + connector.settings.timeout
        timer = Timer(on: connector.loop) { [unowned self] in wake() }
        timer.start(after: .zero)
    }

    func cancel() {
        guard completion != nil else { return }
        end()
    }

    /// A dialler has come.
    func ask(_ dialler: HandoverChannel) { for attempt in running.values { (attempt as? TunnelAttempt)?.ask(dialler) } }

    private func wake() {
        let now = Instant.now
        guard race != nil else { return proceed() }
        perform(race!.advance(now: now), now: now)
    }

    /// Looks whether the packets that are needed have come.
    func proceed() {
        guard completion != nil, race == nil else { return }
        let now = Instant.now
        if connector.isOverloaded(for: self) { return fail(LadderError(.tryAgain, "\(Connector.mostRequests) connections are being looked for already")) }
        let walk = Walk(from: route.host, caution: Caution(allowsLocal: connector.settings.allowsLocal)) { [connector, packetsSince] in
            connector.knowledge(of: $0, since: packetsSince, now: now)
        }
        guard walk.needed.isEmpty else { return wait(for: walk.needed, now: now) }
        start(walk, now: now)
    }

    private func wait(for keys: [PublicKey], now: Instant) {
        guard now < deadline else { return giveUp(LadderError(.unreachable, "nobody has said where \(keys[0]) is")) }
        for key in keys where !connector.wants(key, isFresh: isSecondRound, now: now) {
            // The dialler may have been told by somebody else where the peer is.
            if route.host == KeyedHost(key), !isSecondRound, connector.hasTunnels { return begin([[.tunnel(EndpointAddress(id: key))]], now: now) }
            return giveUp(LadderError(.unreachable, "there is nobody to ask where \(key) is"))
        }
        timer.start(after: min(deadline - now, PacketBook.patience))
    }

    /// There are no packets: in the first round that is the reason, later it is what happened before.
    private func giveUp(_ error: LadderError) { fail(failures.isEmpty ? error : unreachable()) }

    private func start(_ walk: Walk, now: Instant) {
        let usesDomains = !connector.settings.requiresKey && route.service != .raw
        let rungs = walk.places.rungs(usesDomains: usesDomains, usesTunnels: connector.hasTunnels, first: connector.winner(of: route, now: now))
            .map { $0.filter { !tried.contains($0) } }.filter { !$0.isEmpty }
        refused = walk.places.refused
        if rungs.isEmpty {
            // A packet that was known before may be out of date.
            if !isSecondRound, walk.keys.contains(where: { isKnownLonger($0, now: now) }) { return lost(now: now) }
            return failures.isEmpty ? explain(walk) : fail(unreachable())
        }
        begin(rungs, now: now)
    }

    private func begin(_ rungs: [[Way]], now: Instant) {
        tried.formUnion(rungs.joined())
        race = Race(rungs, until: deadline)
        told = 0
        perform(race!.advance(now: now), now: now)
    }

    private func isKnownLonger(_ key: PublicKey, now: Instant) -> Bool {
        guard case .packet = connector.knowledge(of: key, since: Instant(nanoseconds: 0), now: now) else { return false }
        if case .unknown = connector.knowledge(of: key, since: started, now: now) { return true }
        return false
    }

    /// The records name no place at all, or none that may be dialled.
    private func explain(_ walk: Walk) {
        if let problem = walk.keys.lazy.compactMap(connector.problem).first { return fail(problem) }
        if !refused.isEmpty { return fail(unreachable()) }
        fail(LadderError(.keyNotFound, route.host.isUser && walk.keys.count == 1
            ? "\(route.host) names no homeserver" : "the records of \(route.host) name no place that can be dialled here"))
    }

    private func unreachable() -> LadderError {
        let attempts = failures + refused
        let words = attempts.map(\.description).joined(separator: "; ")
        return LadderError(wasTurnedAway ? .permission : .unreachable, "no way reached \(route.host)\(words.isEmpty ? "" : " (\(words))")", attempts: attempts)
    }
}

// The race.
extension LadderRequest {
    private func perform(_ actions: [Race.Action], now: Instant) {
        for failure in (race?.failures ?? []).dropFirst(told) {
            told += 1
            connector.onEvent(.failed(route.host, failure))
        }
        for action in actions {
            guard completion != nil else { return }
            switch action {
            case .start(let id, let way): start(id, way)
            case .stop(let id): running.removeValue(forKey: id)?.cancel()
            case .won: break
            case .lost: return lost(now: now)
            }
        }
        if completion != nil, let wakeUp = race?.wakeUp { timer.start(after: max(.zero, wakeUp - now)) }
    }

    private func start(_ id: Int, _ way: Way) {
        // What is told at once is told before there is an attempt to keep.
        var early: AttemptOutcome?
        var isKept = false
        let attempt = connector.attempt(way, route.service) { [weak self] outcome in
            if isKept { self?.finished(id, way, outcome) } else { early = outcome }
        }
        isKept = true
        if let early {
            // From the loop, so that a row of them is no recursion.
            return Timer.once(on: connector.loop, after: .zero) { [weak self] in self?.finished(id, way, early) }
        }
        running[id] = attempt
    }

    private func finished(_ id: Int, _ way: Way, _ outcome: AttemptOutcome) {
        guard completion != nil, race?.way(id) != nil else { return }
        running[id] = nil
        let now = Instant.now
        switch outcome {
        case .found(let addresses):
            guard case .domain(let domain) = way else { return }
            perform(race!.found(id, addresses.map { .certified($0, domain) }, now: now), now: now)
        case .failed(let reason): perform(race!.failed(id, reason, now: now), now: now)
        case .failedWays(let attempts, let isRefusal):
            wasTurnedAway = wasTurnedAway || isRefusal
            perform(race!.failed(id, attempts, now: now), now: now)
        case .impostor(let path, let remote, let reason):
            impostor(UpstreamAttempt(path: path, remote: remote, reason: reason, after: race!.age(id, now: now)), now: now)
        case .connected(let socket, let path, let remote): connected(id, way, socket, path, remote, now: now)
        }
    }

    private func connected(_ id: Int, _ way: Way, _ socket: DescriptorOwner, _ path: UpstreamPath, _ remote: String, now: Instant) {
        perform(race!.succeeded(id, now: now), now: now)
        guard let socket = socket.take() else { return }
        connector.remember(way, for: route, now: now)
        var authority: String?
        if case .certified(_, let domain) = way { authority = domain.authority }
        let attempts = failures + (race?.failures ?? [])
        let connection = UpstreamConnection(socket, path: path, remote: remote, homeserver: way.key, authority: authority, attempts: attempts)
        connector.onEvent(.connected(route.host, connection, after: now - started))
        end()?(.success(connection))
    }

    /// Nothing further is tried: whoever stands there may stand elsewhere too.
    private func impostor(_ attempt: UpstreamAttempt, now: Instant) {
        perform(race!.stopAll(now: now), now: now)
        connector.onEvent(.failed(route.host, attempt))
        fail(LadderError(.wrongPeer, "\(attempt)", attempts: failures + race!.failures + [attempt]))
    }

    /// Everything failed: perhaps the packet is out of date.
    private func lost(now: Instant) {
        failures += race?.failures ?? []
        race = nil
        guard !isSecondRound, now < deadline else { return fail(unreachable()) }
        isSecondRound = true
        packetsSince = now
        proceed()
    }

    private func fail(_ error: LadderError) {
        let completion = end()
        connector.onEvent(.unreachable(route.host, error))
        completion?(.failure(error))
    }

    @discardableResult
    private func end() -> ((Result<UpstreamConnection, LadderError>) -> Void)? {
        let completion = completion
        self.completion = nil
        for attempt in running.values { attempt.cancel() }
        running = [:]
        timer.stop()
        connector.forget(self)
        return completion
    }
}
