import Pkarr
import Platform

/// What an audit comes to.
public struct AuditVerdict: Equatable, Sendable {
    /// Whose turn it is.
    public enum Standing: Sendable {
        case fine
        /// Nobody gave a usable answer.
        case unanswered
        /// Nobody has a packet.
        case notFound
        /// What the key's owner has signed is at fault.
        case badData
        /// The sources disagree, or too few have the packet: publishing again, or waiting, helps.
        case disagreement
    }

    /// The word of the gravest problem, else `well-stored` or `agreed`.
    public var word: String
    public var problems: [AuditProblem]
    public var standing: Standing
    /// Sentences for a person: how things are, and what each problem means.
    public var text: String
    /// Sentences for a person: what to do; nil when there is nothing to do.
    public var advice: String?

    public init(_ report: AuditReport) {
        problems = report.problems
        word = problems.first?.word ?? (report.isWellStored ? "well-stored" : "agreed")
        standing = problems.map(\.standing).min { $0.gravity < $1.gravity } ?? .fine
        text = ([report.summary].compactMap(\.self) + problems.map(\.explanation)).joined(separator: " ")
        advice = problems.isEmpty ? nil : problems.map(\.advice).joined(separator: " ")
    }
}

extension AuditVerdict.Standing {
    /// Of two, the lower one is the one to tell.
    fileprivate var gravity: Int {
        switch self {
        case .unanswered: 0
        case .notFound: 1
        case .badData: 2
        case .disagreement: 3
        case .fine: 4
        }
    }
}

extension AuditProblem {
    fileprivate var standing: AuditVerdict.Standing {
        switch self {
        case .unanswered: .unanswered
        case .notFound: .notFound
        case .noPacket, .unusableRecords, .oversize: .badData
        case .rolledBack, .inFuture, .sameTimestamp, .dhtSilent, .notInDHT, .outdatedNodes, .thin, .laggingRelays: .disagreement
        }
    }
}

extension AuditReport {
    /// Who has the newest packet, in a sentence; nil when there is none.
    fileprivate var summary: String? {
        guard let newest else { return nil }
        let age = newest.timestamp > time ? "with a time to come" : "\(spelled(microseconds: time - newest.timestamp)) ago"
        var holding: [String] = []
        if lookup != nil {
            let closest = nodes.filter(\.isClosest)
            holding.append("held by \(counted(holders, "node", "nodes")) of the DHT (\(count(closest, .newest)) of the \(closest.count) closest)")
        }
        if !relays.isEmpty { holding.append("served by \(count(relays, .newest)) of \(counted(relays.count, "relay", "relays"))") }
        let mute = relays.count { !outcome(of: $0).isAnswer }
        let remark = mute == 0 ? "" : ", of which \(mute) gave no usable answer"
        return "The newest packet, signed \(age), is \(holding.joined(separator: " and "))\(remark)."
    }
}
