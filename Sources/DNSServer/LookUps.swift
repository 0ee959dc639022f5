import Crypto
import Pkarr
import Platform

/// A look-up on the network and all who wait for it.
struct LookUp {
    /// After so long an old packet is better than waiting on (RFC 8767, section 5).
    static let patience: Duration = .milliseconds(1800)

    /// When those who wait get what is old, if there is anything.
    var overdue: Instant
    var isOverdue = false
    var resolutions: [Resolution] = []
}

extension NameServer {
    /// Lets a resolution wait for the packet of a key, which is looked up once however many wait.
    mutating func wait(for key: PublicKey, _ resolution: Resolution, _ old: SeenPacket?, at moment: Moment) {
        let busy = ExtendedError(code: .other, text: "too busy")
        guard waiting < Self.mostWaiting else { return send(resolution.response(.serverFailure, busy), to: resolution.origin) }
        if lookUps[key] == nil {
            guard lookUps.count < Self.mostLookUps else { return send(resolution.response(.serverFailure, busy), to: resolution.origin) }
            guard lookUpLimiter.admit(resolution.origin.address.ip, now: moment.instant) == .admitted else {
                counters.limited += 1
                let error = ExtendedError(code: .prohibited, text: "too many keys asked for")
                return send(resolution.response(.refused, error), to: resolution.origin)
            }
            counters.lookUps += 1
            lookUps[key] = LookUp(overdue: moment.instant + LookUp.patience)
            outputs.append(.lookUp(key, notOlderThan: old?.packet))
        }
        lookUps[key]!.resolutions.append(resolution)
        waiting += 1
    }

    /// Takes the outcome of a look-up, at most once each.
    public mutating func finishLookUp(_ key: PublicKey, _ finding: PacketFinding, at moment: Moment) {
        guard let lookUp = lookUps.removeValue(forKey: key) else { return }
        waiting -= lookUp.resolutions.count
        switch finding {
        case .found(let seen): for resolution in lookUp.resolutions { resume(resolution, with: seen, isStale: false, at: moment) }
        case .nobodyHasIt, .unreachable:
            // What was published once and is found no more is not unpublished: nobody can do that.
            if let old = usable(cached(key), at: moment) {
                for resolution in lookUp.resolutions { resume(resolution, with: old, isStale: true, at: moment) }
            } else if case .unreachable(let reason) = finding {
                let error = ExtendedError(code: .networkError, text: String(reason.prefix(80)))
                for resolution in lookUp.resolutions { send(resolution.response(.serverFailure, error), to: resolution.origin) }
            } else {
                missing.note(key, at: moment.instant)
                for resolution in lookUp.resolutions { send(unpublished(resolution), to: resolution.origin) }
            }
        }
    }

    /// When ``advance(to:)`` has something to do.
    public var nextDeadline: Instant? { lookUps.values.filter { !$0.isOverdue }.map(\.overdue).min() }

    /// Gives those who have waited for long what is old.
    public mutating func advance(to moment: Moment) {
        for (key, lookUp) in lookUps where !lookUp.isOverdue && lookUp.overdue <= moment.instant {
            lookUps[key]!.isOverdue = true
            guard let old = usable(cached(key), at: moment) else { continue }
            lookUps[key]!.resolutions = []
            waiting -= lookUp.resolutions.count
            for resolution in lookUp.resolutions { resume(resolution, with: old, isStale: true, at: moment) }
        }
    }

    private mutating func usable(_ seen: SeenPacket?, at moment: Moment) -> SeenPacket? {
        guard let seen else { return nil }
        let lifetime = seen.lifetime(smallest: zones.zone(of: seen.packet).smallestTimeToLive)
        return seen.age(at: moment) < lifetime + SeenPacket.staleLifetime ? seen : nil
    }
}

/// Keys of which nobody has had a packet lately.
struct MissingKeys {
    /// As long as pkdns keeps that.
    static let lifetime: Duration = .seconds(60)
    static let capacity = 4096

    private var until: [PublicKey: Instant] = [:]

    func contains(_ key: PublicKey, at now: Instant) -> Bool { until[key].map { now < $0 } ?? false }

    mutating func note(_ key: PublicKey, at now: Instant) {
        if until.count >= Self.capacity { until = until.filter { now < $0.value } }
        // Full of the living: a flood of keys that don't exist. Asking again costs no more than not knowing.
        if until.count >= Self.capacity { until = [:] }
        until[key] = now + Self.lifetime
    }
}

/// Packets taken apart, so that each is read once and not for each question.
struct ZoneCache {
    static let capacity = 1000

    private var zones: [PublicKey: Zone] = [:]

    mutating func zone(of packet: SignedPacket) -> Zone {
        if let zone = zones[packet.publicKey], zone.packet == packet { return zone }
        let zone = Zone(packet)
        if zones.count >= Self.capacity { zones = [:] }
        zones[packet.publicKey] = zone
        return zone
    }
}
