import Iroh
import Platform

/// The rules by which the home relay is chosen and left.
extension HomeRelayChoice {
    /// Applies each rule to what is known now.
    mutating func step(now: Instant) {
        noteOverdueLinks(now: now)
        dropUselessNext()
        runRound(now: now)
        if needsHome { findHome(now: now) }
        if let next, isConnected(next.url) { become(next.url, now: now) }
        releaseLinks(now: now)
        let listed = relays.filter(\.isListed)
        if !hasSaidRefused, !wasEverTaken, !listed.isEmpty, listed.allSatisfy({ $0.refusal != nil }) {
            hasSaidRefused = true
            events.removeAll { if case .refused = $0 { true } else { false } }
            events.append(.refusedByAll(listed.map { Failure(url: $0.url, reason: $0.refusal ?? "") }))
        }
    }

    /// Whether the home relay has to be replaced.
    var needsHome: Bool {
        guard let home, let index = index(of: home) else { return true }
        return !relays[index].isListed || relays[index].refusal != nil || relays[index].isOverdue
    }

    func index(of url: RelayURL) -> Int? { relays.firstIndex { $0.url == url } }

    /// Whether rounds ask it. One that refuses us answers `/ping` all the same, and would win.
    func isAsked(_ relay: Relay) -> Bool { relay.isListed && relay.refusal == nil }

    func isWaitedFor(_ relay: Relay) -> Bool {
        relay.link != nil && relay.link != .connected && relay.refusal == nil && !relay.isOverdue
    }

    private func isConnected(_ url: RelayURL) -> Bool { relays.contains { $0.url == url && $0.link == .connected } }

    private mutating func noteOverdueLinks(now: Instant) {
        for index in relays.indices where isWaitedFor(relays[index]) && relays[index].linkSince + relays[index].patience <= now {
            relays[index].isOverdue = true
            if relays[index].url == home { complain(relays[index], now: now) }
        }
        // Whether lost or refused, who might replace it is worth asking at once.
        if needsHome, home != nil, roundsWithoutHome == 0 { nextRound = min(nextRound, now) }
    }

    private mutating func complain(_ relay: Relay, now: Instant) {
        if let complained, complained.url == relay.url, now - complained.time < Self.complaintInterval { return }
        complained = (relay.url, now)
        isComplaintOpen = true
        events.append(.lost(relay.url, reason: relay.trouble ?? "no answer"))
    }

    private mutating func dropUselessNext() {
        guard let next else { return }
        let relay = relays.first { $0.url == next.url }
        // A home relay that is back is not left for one that is only as good.
        guard relay?.isCandidate != true || !next.isNearer && !needsHome else { return }
        self.next = nil
        nearer = nil
    }

    // MARK: Rounds

    private mutating func runRound(now: Instant) {
        if round == nil, now >= nextRound {
            let asked = relays.filter(isAsked).map(\.url)
            guard !asked.isEmpty else { return }
            rounds += 1
            round = RelayProbeRound(asked, now: now)
        }
        while let (url, timeout) = round?.nextTry(now: now) { events.append(.probe(Probe(url: url, timeout: timeout, round: rounds))) }
        guard round?.isDecided(now: now) == true else { return }
        let isOver = round?.isOver(now: now) ?? true
        if isOver { round?.giveUp() }
        let results = round?.results ?? [:]
        for index in relays.indices {
            switch results[relays[index].url] {
            case .latency(let latency): (relays[index].latency, relays[index].failure) = (latency, nil)
            case .failure(let reason): (relays[index].latency, relays[index].failure) = (nil, reason)
            case nil: break
            }
        }
        guard isOver else { return }
        round = nil
        scheduleRound(now: now)
        if needsHome { sayIfNobodyAnswers() } else { compare(results, now: now) }
    }

    mutating func scheduleRound(now: Instant) {
        guard needsHome else {
            roundsWithoutHome = 0
            nextRound = now + Self.roundInterval + Self.roundInterval / 10 * chance()
            return
        }
        let full = min(Self.firstRetry * (1 << min(roundsWithoutHome, 8)), Self.longestRetry)
        roundsWithoutHome += 1
        nextRound = now + full / 2 + full / 2 * chance()
    }

    /// Looks whether another relay is clearly nearer than the home relay: below two thirds of its latency, which is iroh's rule
    /// (spec/iroh-wire.md, 4.5).
    private mutating func compare(_ results: [RelayURL: RelayProbeRound.Result], now: Instant) {
        var nearest: (url: RelayURL, latency: Duration)?
        for relay in relays where relay.isCandidate && relay.url != home {
            guard case .latency(let latency) = results[relay.url], latency < nearest?.latency ?? latency + .nanoseconds(1) else { continue }
            nearest = (relay.url, latency)
        }
        guard let home, case .latency(let current) = results[home], let nearest, nearest.latency * 3 < current * 2 else {
            nearer = nil
            return
        }
        nearer = (nearest.url, nearer?.url == nearest.url ? nearer!.rounds + 1 : 1)
        if nearer!.rounds >= Self.roundsInARow { prepare(nearest.url, isNearer: true, now: now) }
    }

    private mutating func sayIfNobodyAnswers() {
        let others = relays.filter { isAsked($0) && $0.url != home }
        guard !hasSaidNoAnswer, !others.isEmpty, others.allSatisfy({ $0.latency == nil || $0.isOverdue }) else { return }
        hasSaidNoAnswer = true
        // That /ping is answered is of no use without a connection.
        events.append(.noAnswer(others.map { Failure(url: $0.url, reason: ($0.latency == nil ? $0.failure : $0.trouble) ?? "no answer") }))
    }

    // MARK: Moving

    private mutating func findHome(now: Instant) {
        let others = relays.filter { $0.isListed && $0.url != home }
        // One that is connected already serves at once; which of several is best hardly matters then.
        if let ready = others.filter({ $0.link == .connected }).min(by: isNearer) { return become(ready.url, now: now) }
        if next == nil, let best = others.filter(\.isCandidate).min(by: isNearer) { prepare(best.url, isNearer: false, now: now) }
        guard next == nil, round == nil, let home, let relay = relays.first(where: { $0.url == home }) else { return }
        // One that is only unreachable may be back at any time, and then needs no announcement first.
        if relay.refusal != nil || !relay.isListed { become(nil, now: now) }
    }

    private func isNearer(_ one: Relay, _ other: Relay) -> Bool {
        guard let latency = one.latency else { return false }
        return latency < other.latency ?? .seconds(Int64(Int32.max))
    }

    private mutating func prepare(_ url: RelayURL, isNearer: Bool, now: Instant) {
        guard let index = index(of: url) else { return }
        next = (url, isNearer)
        guard relays[index].link == nil else { return }
        relays[index].link = .connecting
        relays[index].linkSince = now
        events.append(.connect(url))
    }

    private mutating func become(_ url: RelayURL?, now: Instant) {
        let former = home
        home = url
        next = nil
        nearer = nil
        isComplaintOpen = false
        if url != nil {
            hasSaidNoAnswer = false
            scheduleRound(now: now)
        }
        if let url, let index = index(of: url) { relays[index].farewell = nil }
        if let former, let index = index(of: former), relays[index].refusal == nil { relays[index].farewell = now + Self.farewell }
        events.append(.moved(from: former, to: url))
    }

    /// Lets go of the connections that have no purpose any more.
    private mutating func releaseLinks(now: Instant) {
        for index in relays.indices where relays[index].link != nil {
            let relay = relays[index]
            if relay.url == home || relay.url == next?.url { continue }
            if let farewell = relay.farewell {
                if now < farewell { continue }
            } else if relay.isListed, relay.refusal != nil || needsHome {
                // The link finds out when the relay takes us again, or is there again.
                continue
            }
            relays[index].link = nil
            relays[index].farewell = nil
            relays[index].isOverdue = false
            relays[index].patience = Self.linkPatience
            relays[index].refusal = nil
            events.append(.release(relay.url))
        }
        relays.removeAll { !$0.isListed && $0.link == nil }
    }
}
