import Crypto
import Pkarr
import Platform

/// A query on its way to an answer, which may lead along aliases from key to key and out into the rest of DNS.
struct Resolution {
    /// Aliases followed at most. Each may cost a look-up.
    static let mostAliases = 8

    let query: DNSQuery
    let origin: NameServer.Origin
    /// Aliases found so far.
    var chain: [ResourceRecord] = []
    /// The name that is looked for now, as answers write it.
    var name: DomainName
    var isStale = false

    init(_ query: DNSQuery, from origin: NameServer.Origin) {
        self.query = query
        self.origin = origin
        name = query.name
    }

    /// Where the aliases among records lead from here; nil when the name is none, or has what was asked for at its end.
    func following(_ records: [ResourceRecord]) -> Resolution? {
        var next = self
        for _ in 0..<Resolution.mostAliases {
            let name = next.name.folded
            if query.type == .cname || records.contains(where: { $0.type == query.type && $0.name.folded == name }) { return nil }
            guard let alias = records.first(where: { $0.type == .cname && $0.name.folded == name }), case .name(let target) = alias.data
            else { return next.chain.count > chain.count ? next : nil }
            next.chain.append(alias)
            next.name = target
        }
        return next
    }

    func response(_ code: ResponseCode = .noError, _ error: ExtendedError? = nil) -> DNSResponse {
        var response = DNSResponse(to: query, code, error)
        response.answers = chain
        if isStale { response.errors.append(ExtendedError(code: .staleAnswer)) }
        return response
    }
}

extension NameServer {
    /// Goes on until an answer or something to wait for.
    mutating func proceed(_ resolution: Resolution, at moment: Moment) {
        var resolution = resolution
        while true {
            switch keyNames.place(of: resolution.name.folded) {
            case .elsewhere: return leave(resolution)
            case .noKey(let suffix): return send(withoutKey(resolution, .nameError, suffix), to: resolution.origin)
            case .suffix(let suffix): return send(withoutKey(resolution, .noError, suffix), to: resolution.origin)
            case .key(let key, let name, let suffix):
                guard let zone = zone(of: key, for: resolution, at: moment) else { return }
                guard let next = answer(resolution, from: zone, name, suffix) else { return }
                resolution = next
            }
        }
    }

    /// Goes on with a packet that a look-up has found, or with an old one that has to do.
    mutating func resume(_ resolution: Resolution, with seen: SeenPacket, isStale: Bool, at moment: Moment) {
        guard case .key(_, let name, let suffix) = keyNames.place(of: resolution.name.folded) else { return }
        let zone = ServedZone(zone: zones.zone(of: seen.packet), age: seen.age(at: moment), isStale: isStale)
        if let next = answer(resolution, from: zone, name, suffix) { proceed(next, at: moment) }
    }

    /// Answers, or gives what an alias leads to.
    private mutating func answer(_ resolution: Resolution, from zone: ServedZone, _ name: DomainName, _ suffix: DomainName) -> Resolution? {
        var resolution = resolution
        if zone.isStale, !resolution.isStale {
            resolution.isStale = true
            counters.stale += 1
        }
        switch zone.answer(name, suffix, resolution) {
        case .final(let response): send(response, to: resolution.origin)
        case .alias(let next):
            if next.chain.count <= Resolution.mostAliases { return next }
            send(tooManyAliases(next), to: next.origin)
        }
        return nil
    }

    /// The packet of a key, if it is here and good enough; else the resolution has been answered or waits.
    private mutating func zone(of key: PublicKey, for resolution: Resolution, at moment: Moment) -> ServedZone? {
        let seen = cached(key)
        if let seen {
            let zone = zones.zone(of: seen.packet)
            let age = seen.age(at: moment), lifetime = seen.lifetime(smallest: zone.smallestTimeToLive)
            if age < lifetime { return ServedZone(zone: zone, age: age, isStale: false) }
            if age < lifetime + SeenPacket.staleLifetime, lookUps[key]?.isOverdue == true {
                return ServedZone(zone: zone, age: age, isStale: true)
            }
        } else if missing.contains(key, at: moment.instant) {
            send(unpublished(resolution), to: resolution.origin)
            return nil
        }
        wait(for: key, resolution, seen, at: moment)
        return nil
    }

    /// Nobody has published the key.
    func unpublished(_ resolution: Resolution) -> DNSResponse {
        var response = withoutKey(resolution, .nameError, keyNames.suffix(of: resolution.name))
        response.errors.append(ExtendedError(code: .other, text: "nobody has published this key"))
        return response
    }

    /// There is no such name, or nothing but a suffix: the suffix is a zone of our own without records.
    private func withoutKey(_ resolution: Resolution, _ code: ResponseCode, _ suffix: DomainName) -> DNSResponse {
        var response = resolution.response(code)
        response.isRecursionAvailable = true
        response.isAuthoritative = true
        // The root is not ours to speak for.
        guard suffix != .root else { return response }
        let authority = ResourceRecord.startOfAuthority(of: suffix, serial: 1)
        if code == .noError, resolution.query.type == .soa { response.answers.append(authority) } else { response.deny(authority) }
        return response
    }

    /// The question is the rest of DNS's.
    private mutating func leave(_ resolution: Resolution) {
        let mayForward = configuration.forwardsFor.contains { $0.contains(resolution.origin.address.ip.unmapped) }
        guard mayForward, forwarded.count < Self.mostForwarded else {
            // Where an alias leads is an answer, too.
            if !resolution.chain.isEmpty { return send(resolution.response(), to: resolution.origin) }
            if mayForward {
                return send(resolution.response(.serverFailure, ExtendedError(code: .other, text: "too busy")), to: resolution.origin)
            }
            let error = configuration.forwardsFor.isEmpty
                ? ExtendedError(code: .notAuthoritative, text: "not the name of a key")
                : ExtendedError(code: .prohibited, text: "not forwarded for this address")
            return send(resolution.response(.refused, error), to: resolution.origin)
        }
        nextForward &+= 1
        forwarded[nextForward] = resolution
        counters.forwarded += 1
        outputs.append(.forward(ForwardedQuery(resolution.query, name: resolution.name), id: nextForward, over: resolution.origin.transport))
    }

    /// Takes the answer to a forwarded query, one that ``ForwardedQuery/accepts(_:)`` has let through; nil when none came.
    public mutating func finishForward(_ id: Int, _ message: [UInt8]?, at moment: Moment) {
        guard let resolution = forwarded.removeValue(forKey: id) else { return }
        guard let message else {
            counters.unanswered += 1
            let error = ExtendedError(code: .noReachableAuthority, text: "nobody answers whom this is forwarded to")
            return send(resolution.response(.serverFailure, error), to: resolution.origin)
        }
        let code = ForwardedQuery.responseCode(of: message)
        let contents = ForwardedQuery.contents(of: message)
        // Whoever was asked may not know keys: what leads to one goes on here.
        if let contents, !contents.isTruncated, let next = resolution.following(contents.records), isKey(next.name) {
            return next.chain.count <= Resolution.mostAliases ? proceed(next, at: moment) : send(tooManyAliases(next), to: next.origin)
        }
        guard !resolution.chain.isEmpty else {
            counters.answered[code, default: 0] += 1
            let answer = ForwardedQuery.answer(message, to: resolution.query, over: resolution.origin.transport)
            return outputs.append(.send(answer, to: resolution.origin))
        }
        var response = resolution.response(code)
        response.isRecursionAvailable = true
        response.isTruncated = contents?.isTruncated ?? false
        // Of what can't be read, only the alias remains.
        response.answers += contents?.records ?? []
        send(response, to: resolution.origin)
    }

    private mutating func isKey(_ name: DomainName) -> Bool {
        if case .elsewhere = keyNames.place(of: name.folded) { return false }
        return true
    }

    private func tooManyAliases(_ resolution: Resolution) -> DNSResponse {
        DNSResponse(to: resolution.query, .serverFailure, ExtendedError(code: .other, text: "aliases lead in a circle or too far"))
    }
}
