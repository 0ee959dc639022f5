import Crypto
import Platform
@testable import Mainline

/// Many nodes in one process: datagrams travel in virtual time, and can be lost, late or answered by a liar.
final class SimulatedNetwork {
    typealias Liar = (_ datagram: [UInt8], _ source: SocketAddress) -> [[UInt8]]

    private struct Flight {
        var arrival: Instant
        var bytes: [UInt8]
        var source: SocketAddress
        var destination: SocketAddress
    }

    private(set) var now = Instant(nanoseconds: 1_000_000_000_000)
    private(set) var nodes: [SocketAddress: MainlineNode] = [:]
    private var liars: [SocketAddress: Liar] = [:]
    private var deadlines: [SocketAddress: Instant] = [:]
    private var flights: [Flight] = []
    private(set) var datagrams = 0
    var events: [SocketAddress: [MainlineNode.Event]] = [:]
    var silent: Set<SocketAddress> = []
    /// One way, for one pair of nodes; nil loses the datagram.
    var latency: (_ source: SocketAddress, _ destination: SocketAddress) -> Duration? = { _, _ in .milliseconds(10) }

    /// The n-th public address of this network.
    static func place(_ number: Int) -> SocketAddress {
        SocketAddress(ip: .v4(0x0102_0000 + UInt32(number) * 257), port: 6881)
    }

    /// Where ids come from, so that a network has the same shape each time.
    private var ids: SeededGenerator

    init(seed: UInt64 = 1) { ids = SeededGenerator(seed: seed) }

    /// An id for the n-th address.
    func newID(for number: Int) -> NodeID {
        NodeID(for: SimulatedNetwork.place(number).ip, random: (0..<20).map { _ in UInt8.random(in: .min ... .max, using: &ids) })
    }

    @discardableResult
    func addNode(_ number: Int, mode: MainlineNode.Mode = .server, bootstrap: [SocketAddress], id: NodeID? = nil) -> MainlineNode {
        let place = SimulatedNetwork.place(number)
        let node = MainlineNode(
            mode: mode, ownAddress: place, id: id ?? newID(for: number),
            awaitingBootstraps: !bootstrap.isEmpty, now: now)
        var targets = SeededGenerator(seed: UInt64(number))
        node.randomTarget = { NodeID((0..<20).map { _ in UInt8.random(in: .min ... .max, using: &targets) })! }
        nodes[place] = node
        if !bootstrap.isEmpty { node.add(bootstraps: bootstrap, areAll: true, now: now) }
        collect(place)
        return node
    }

    /// Takes a node that was made for its address.
    func add(_ node: MainlineNode, at place: SocketAddress, bootstrap: [SocketAddress] = []) {
        nodes[place] = node
        node.add(bootstraps: bootstrap, areAll: true, now: now)
        collect(place)
    }

    /// The n-th place of the IPv6 network.
    static func place6(_ number: Int) -> SocketAddress {
        SocketAddress(ip: .v6(high: 0x2001_0db8_0000_0000 + UInt64(number), low: 1), port: 6881)
    }

    func addLiar(_ place: SocketAddress, _ liar: @escaping Liar) { liars[place] = liar }

    /// A healthy network of servers that know each other.
    static func healthy(_ count: Int, seed: UInt64 = 1) -> SimulatedNetwork {
        let network = SimulatedNetwork(seed: seed)
        for number in 0..<count { network.addNode(number, bootstrap: number == 0 ? [] : [place(0)]) }
        network.run(for: .seconds(15))
        return network
    }

    func run(for duration: Duration) { run(until: now + duration) { false } }

    /// Runs until the condition holds; false when time is up first.
    @discardableResult
    func run(until end: Instant, _ isDone: () -> Bool) -> Bool {
        while !isDone() {
            let arrival = flights.last?.arrival
            let deadline = deadlines.min { $0.value < $1.value }
            if let arrival, arrival <= end, deadline.map({ arrival <= $0.value }) ?? true {
                now = max(now, arrival)
                deliver(flights.removeLast())
            } else if let deadline, deadline.value <= end {
                now = max(now, deadline.value)
                nodes[deadline.key]!.advance(to: now)
                collect(deadline.key)
            } else {
                now = max(now, end)
                return isDone()
            }
        }
        return true
    }

    private func deliver(_ flight: Flight) {
        datagrams += 1
        if silent.contains(flight.destination) { return }
        if let liar = liars[flight.destination] {
            for answer in liar(flight.bytes, flight.source) { launch(answer, from: flight.destination, to: flight.source) }
        } else if let node = nodes[flight.destination] {
            node.receive(flight.bytes, from: flight.source, now: now)
            collect(flight.destination)
        }
    }

    func launch(_ bytes: [UInt8], from source: SocketAddress, to destination: SocketAddress) {
        guard let delay = latency(source, destination) else { return }
        // The next one to arrive is last.
        let arrival = now + delay
        let place = flights.firstIndex { $0.arrival <= arrival } ?? flights.endIndex
        flights.insert(Flight(arrival: arrival, bytes: bytes, source: source, destination: destination), at: place)
    }

    /// Takes up what a node has to send and to tell.
    func collect(_ place: SocketAddress) {
        guard let node = nodes[place] else { return }
        defer { deadlines[place] = node.nextDeadline }
        events[place, default: []] += node.takeEvents(now: now)
        for datagram in node.takeDatagrams() { launch(datagram.bytes, from: place, to: datagram.destination) }
        // What one network names of the other may lead to questions there.
        if let sibling = nodes.first(where: { $0.value === node.sibling })?.key, nodes[sibling]!.hasDatagrams { collect(sibling) }
    }
}

/// What came of an operation at one node.
extension SimulatedNetwork {
    func get(
        _ key: PublicKey, at number: Int, moreRecentThan: Int64? = nil, awaitingAll: Bool = false
    ) -> (items: [MutableItem], outcome: LookupOutcome?, took: Duration) {
        get(key, at: SimulatedNetwork.place(number), moreRecentThan: moreRecentThan, awaitingAll: awaitingAll)
    }

    func get(
        _ key: PublicKey, at place: SocketAddress, moreRecentThan: Int64? = nil, awaitingAll: Bool = false
    ) -> (items: [MutableItem], outcome: LookupOutcome?, took: Duration) {
        let start = now
        let id = nodes[place]!.get(MutableItem.target(of: key), moreRecentThan: moreRecentThan, awaitingAll: awaitingAll, now: now)
        collect(place)
        var outcome: LookupOutcome?
        run(until: now + .seconds(30)) { [self] in
            outcome = events[place]!.lazy.compactMap { if case .lookupFinished(id, let outcome) = $0 { outcome } else { nil } }.first
            return outcome != nil
        }
        let items = events[place]!.compactMap { if case .item(id, let item, _) = $0 { item } else { nil } }
        return (items, outcome, now - start)
    }

    func put(_ item: MutableItem, at number: Int, onto basis: PutBasis? = nil) -> PutOutcome? {
        put(item, at: SimulatedNetwork.place(number), onto: basis)
    }

    func put(_ item: MutableItem, at place: SocketAddress, onto basis: PutBasis? = nil) -> PutOutcome? {
        putAtOnce([item], at: [place], onto: basis).first
    }

    /// Puts begun at one moment, each at another node.
    func putAtOnce(_ items: [MutableItem], at numbers: [Int], onto basis: PutBasis? = nil) -> [PutOutcome] {
        putAtOnce(items, at: numbers.map(SimulatedNetwork.place), onto: basis)
    }

    func putAtOnce(_ items: [MutableItem], at places: [SocketAddress], onto basis: PutBasis? = nil) -> [PutOutcome] {
        let ids = zip(items, places).map { nodes[$1]!.put($0, onto: basis, now: now) }
        places.forEach(collect)
        var outcomes: [PutOutcome] = []
        run(until: now + .seconds(30)) { [self] in
            outcomes = zip(ids, places).compactMap { id, place in
                events[place]!.lazy.compactMap { if case .putFinished(id, let outcome) = $0 { outcome } else { nil } }.first
            }
            return outcomes.count == items.count
        }
        return outcomes
    }
}
