import Mainline

extension Receipt {
    /// What it comes to: whether the packet is published, and if not, what can be done about it.
    public enum Standing: Equatable, Sendable {
        case stored
        /// A newer packet is there: resolve the key and build on it.
        case overtaken
        /// Somebody says that there is something else and has nothing newer to show: another packet may be on its way.
        case conflict
        /// All who answered refuse this packet and always will.
        case refused
        /// Nobody could be asked, or nobody was able to: the same packet may well be stored later.
        case unreachable
    }

    public var standing: Standing {
        if isOvertaken { return .overtaken }
        if isConfirmed == false { return isStored || hasConflicts ? .conflict : failure }
        if isStored { return .stored }
        return hasConflicts || obstacle != nil ? .conflict : failure
    }

    private var failure: Standing {
        let isTemporary = dht.map { $0.nodes.isEmpty || $0.nodes.contains { $0.result == .timedOut } } ?? false
            || relays.contains { [.rateLimited, .failed, .unreachable, .notAsked].contains($0.publication.outcome) }
        return isTemporary ? .unreachable : .refused
    }

    /// Why a packet is not stored, source by source and in words that are the same for all packets that fared the same.
    public var reason: String {
        var reasons: [String] = []
        if let obstacle { reasons.append("\(obstacle)") }
        if isStored, isConfirmed == false { reasons.append("stored, but not found again") }
        if let dht {
            let refusals = dht.nodes.compactMap { if case .refused(let error) = $0.result { error.code } else { nil } }
            if let problem = dht.lookup.ending.problem {
                reasons.append("DHT: \(problem)")
            } else if let code = refusals.first {
                reasons.append("DHT: refused with error \(code)")
            } else if !dht.nodes.isEmpty {
                reasons.append("DHT: the put was not answered")
            }
        }
        for relay in relays where relay.publication.outcome != .stored {
            let status = relay.publication.status.map { ", status \($0)" } ?? ""
            reasons.append("\(relay.url): \(relay.publication.outcome.rawValue)\(status)")
        }
        return reasons.joined(separator: "; ")
    }
}
