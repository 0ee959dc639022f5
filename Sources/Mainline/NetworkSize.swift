import Platform

/// How many nodes the network has, by how close together those are that look-ups end at.
///
/// Ids are spread evenly over the key space as long as nobody chooses his. So where nodes are much closer to a target than its size lets
/// expect, somebody has put them there to keep an item from being stored or found, and one has to reach past them: to the distance at which
/// the ``Lookup/width``-th node would be, and into as many parts of the Internet as elsewhere (the mainline library does the same:
/// spec/pkarr-wire.md, 3.4).
struct NetworkSize {
    /// Look-ups that count. The median of so many is off by a few percent, a single one by a quarter.
    private static let mostSamples = 15
    /// Closer together than this they tell nothing: in a small network a look-up hears of everybody.
    private static let nodesNeeded = Lookup.width

    /// Where so many nodes are to be expected, ``Lookup/sufficient`` are found once in two hundred times (Poisson).
    private static let crowd = 2.5

    private struct Sample {
        var target: NodeID
        var nodes: Double
        var networks: Int
    }

    private var samples: [Sample] = []
    /// From an earlier run, as long as there is nothing of this one.
    private let remembered: Double?

    /// - Parameter remembered: Nodes, as ``estimate`` gave in an earlier run.
    init(remembered: Double? = nil) { self.remembered = remembered }

    /// Takes what a complete look-up has ended at, closest first.
    mutating func note(_ closest: [Contact], of target: NodeID) {
        let honest = closest.filter(\.hasValidID)
        guard honest.count >= Self.nodesNeeded, let farthest = honest.last else { return }
        samples.removeAll { $0.target == target }
        if samples.count == Self.mostSamples { samples.removeFirst() }
        // The k-th of n points spread evenly lies at k/(n+1); (k-1)/distance is its estimate without bias.
        let nodes = Double(honest.count - 1) / max(farthest.id.distance(to: target).fraction, .leastNormalMagnitude)
        samples.append(Sample(target: target, nodes: nodes, networks: Set(honest.map(\.address.ip.network)).count))
    }

    /// Nodes in the network; nil when nothing is known of it.
    var estimate: Double? { median(of: samples) ?? remembered }

    /// Up to where all nodes concern an item at the target. What was seen at the target itself does not count: it is what is to be judged.
    func reach(at target: NodeID) -> Lookup.Reach? {
        let others = samples.filter { $0.target != target }
        guard let nodes = median(of: others) ?? remembered else { return nil }
        let networks = others.isEmpty ? 1 : others.reduce(0) { $0 + $1.networks } / others.count
        return Lookup.Reach(
            distance: NodeID.Distance(fraction: Double(Lookup.width) / nodes), crowded: NodeID.Distance(fraction: Self.crowd / nodes),
            networks: networks)
    }

    private func median(of samples: [Sample]) -> Double? {
        guard !samples.isEmpty else { return nil }
        return samples.map(\.nodes).sorted()[samples.count / 2]
    }
}

extension NodeID.Distance {
    /// The part of the key space that is closer than this, 0 to 1.
    var fraction: Double { Double(high) / 0x1p64 }

    init(fraction: Double) { self.init(high: fraction >= 1 ? .max : UInt64(max(fraction, 0) * 0x1p64), middle: .max, low: .max) }
}

extension IPAddress {
    /// One of the 64 parts of the IPv4 Internet that the mainline library tells apart; for IPv6 the block that a registry gives to a
    /// provider (/32), of which few people can get many.
    var network: UInt64 {
        switch unmapped {
        case .v4(let value): UInt64(value >> 26)
        case .v6(let high, _): high >> 32 | 1 << 63
        }
    }
}
