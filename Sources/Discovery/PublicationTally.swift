/// How a run has gone so far: how many packets came to what, and why those were not stored that were not.
public struct PublicationTally: Sendable {
    /// As many nodes are regarded as enough for an item to last (spec/pkarr-wire.md, 3.4).
    static let wellStored = 10
    /// Different reasons that are told apart; a source has a few at most.
    private static let mostReasons = 16

    private var counts: [Receipt.Standing: Int] = [:]
    private var reasons: [(text: String, count: Int)] = []
    private var otherReasons = 0
    /// Stored on the DHT alone, by fewer than ``wellStored`` nodes and not by all that were asked.
    public private(set) var thin = 0
    /// Stored or not, after more than one attempt.
    public private(set) var triedAgain = 0

    public init() {}

    public mutating func note(_ receipt: Receipt) {
        counts[receipt.standing, default: 0] += 1
        if receipt.attempts > 1 { triedAgain += 1 }
        switch receipt.standing {
        case .stored:
            if let dht = receipt.dht, dht.stored < min(Self.wellStored, dht.nodes.count), receipt.relays.isEmpty { thin += 1 }
        case .overtaken: break
        case .conflict, .refused, .unreachable: note(reason: receipt.reason)
        }
    }

    private mutating func note(reason: String) {
        if let known = reasons.firstIndex(where: { $0.text == reason }) {
            reasons[known].count += 1
        } else if reasons.count < Self.mostReasons {
            reasons.append((reason, 1))
        } else {
            otherReasons += 1
        }
    }

    public func count(_ standing: Receipt.Standing) -> Int { counts[standing, default: 0] }
    /// Packets that have come to something.
    public var total: Int { counts.values.reduce(0, +) }
    /// Packets that are not stored, for whatever reason.
    public var failures: Int { total - count(.stored) }

    /// For a person: first the numbers, then each reason with how often it was one, the commonest first.
    public var summary: [String] {
        var parts = ["\(count(.stored)) stored" + (thin > 0 ? " (\(thin) by fewer than \(Self.wellStored) nodes)" : "")]
        let words: [(Receipt.Standing, String)] = [
            (.overtaken, "overtaken by a newer packet"), (.conflict, "in conflict"), (.refused, "refused"), (.unreachable, "reached nobody"),
        ]
        for (standing, word) in words where count(standing) > 0 { parts.append("\(count(standing)) \(word)") }
        if triedAgain > 0 { parts.append("\(triedAgain) tried more than once") }
        var lines = [parts.joined(separator: ", ")]
        for reason in reasons.sorted(by: { $0.count > $1.count }) { lines.append("\(reason.count) because of \(reason.text)") }
        if otherReasons > 0 { lines.append("\(otherReasons) for other reasons") }
        return lines
    }
}
