/// What a key's packet is made up of, set by set: what is given, the defaults, what others have published, and what stands in for it.
public struct Composition: Sendable {
    private let ownSets: Set<RRset>
    private let defaults: [ResourceRecord]
    /// What is published under names that the others' packet does not have.
    public let fallbacks: [ResourceRecord]

    /// - Parameters:
    ///   - ownSets: Sets that belong to this authority alone: once it has been given records, what others say in these sets is dropped.
    ///   - defaults: Records to publish until records of the same set are given.
    ///   - fallbacks: Records to publish as long as nobody has published any of their name: a homeserver's, while it does not run.
    public init(ownSets: Set<RRset>, defaults: [ResourceRecord] = [], fallbacks: [ResourceRecord] = []) {
        self.ownSets = ownSets
        self.defaults = defaults
        self.fallbacks = fallbacks
    }

    /// Whether there is nothing to publish but what is given.
    var isEmpty: Bool { defaults.isEmpty && fallbacks.isEmpty }

    /// The records to publish: first what is kept of others' records, in its order, or what stands in for it, then our own.
    ///
    /// - Parameters:
    ///   - given: Nil until something is given.
    ///   - base: The records of the newest packet of others.
    public func records(given: [ResourceRecord]?, over base: [ResourceRecord]) -> [ResourceRecord] {
        let replacedDefaults = (given ?? []).sets
        let own = defaults.filter { !replacedDefaults.contains($0.set) } + (given ?? [])
        let ours = own.sets
        var replaced = ours
        if given != nil || !replaced.isDisjoint(with: ownSets) { replaced.formUnion(ownSets) }
        let names = Set(base.map(\.name))
        let kept = base.filter { !replaced.contains($0.set) }
        return kept + fallbacks.filter { !names.contains($0.name) && !ours.contains($0.set) } + own
    }
}
