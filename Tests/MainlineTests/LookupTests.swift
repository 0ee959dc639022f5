import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }

@Test("what one client puts at the twenty closest nodes, and at whoever is nearer than that many should be, another gets from the eight closest")
func putAndGet() throws {
    let network = SimulatedNetwork.healthy(36)
    let item = signedItem(key, sequence: 7, value: Array("hello".utf8))
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(3)])
    network.addNode(101, mode: .client, bootstrap: [SimulatedNetwork.place(9)])

    let put = try #require(network.put(item, at: 100))
    #expect(put.lookup.ending == .complete && put.newer == nil)
    #expect((20...30).contains(put.nodes.count) && put.stored == put.nodes.count)
    let everybody = (0..<36).map { network.nodes[SimulatedNetwork.place($0)]! }
    let closest = everybody.map(\.id).sorted { $0.distance(to: item.target) < $1.distance(to: item.target) }.prefix(put.stored)
    #expect(put.nodes.map(\.node.id) == Array(closest))
    #expect(everybody.filter { $0.storedItems == 1 }.count == put.stored)

    let got = network.get(key.publicKey, at: 101)
    let outcome = try #require(got.outcome)
    #expect((5...20).contains(got.items.count) && Set(got.items) == [item])
    #expect(outcome.ending == .complete && outcome.values == got.items.count && outcome.sequences == [7])
    #expect(outcome.closest.map(\.id).prefix(8) == closest.prefix(8))
    #expect(got.took < .milliseconds(200), "a healthy network answers in a few round trips")
}

@Test("nobody remembers a client, and a client answers nobody")
func clientsAreInvisible() throws {
    let network = SimulatedNetwork.healthy(5)
    let client = network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    _ = network.get(key.publicKey, at: 100)
    #expect(client.knownNodes == 5)
    for number in 0..<5 { #expect(network.nodes[SimulatedNetwork.place(number)]!.knownNodes == 4) }
    client.receive(
        KRPCMessage(transaction: [1, 2, 3, 4], body: .query(id: .random(), .ping)).encoded, from: SimulatedNetwork.place(0), now: network.now)
    #expect(client.takeDatagrams().isEmpty)
}

@Test("a missing item is a complete look-up without values")
func missing() throws {
    let network = SimulatedNetwork.healthy(22)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let got = network.get(key.publicKey, at: 100)
    let outcome = try #require(got.outcome)
    #expect(got.items.isEmpty && outcome.ending == .complete && outcome.values == 0 && outcome.answers.count >= 20)
}

@Test("dead nodes cost a fraction of a time-out, not each its own")
func deadNodes() throws {
    let network = SimulatedNetwork.healthy(36)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    _ = network.put(signedItem(key, sequence: 7, value: [1]), at: 100)
    for number in stride(from: 1, to: 36, by: 4) { network.silent.insert(SimulatedNetwork.place(number)) }
    network.addNode(101, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let got = network.get(key.publicKey, at: 101)
    let outcome = try #require(got.outcome)
    // Tables still name the dead, so not all of the living are heard of.
    #expect(outcome.ending == .complete && outcome.closest.count >= 8 && outcome.values > 4)
    #expect(got.took < .seconds(2))
}

@Test("with a tenth of all datagrams lost the item is still stored and found")
func loss() throws {
    let network = SimulatedNetwork.healthy(24)
    var generator = SeededGenerator(seed: 2)
    network.latency = { _, _ in Int.random(in: 0..<10, using: &generator) == 0 ? nil : .milliseconds(Int.random(in: 5...80, using: &generator)) }
    network.addNode(100, mode: .client, bootstrap: (0..<4).map(SimulatedNetwork.place))
    let put = try #require(network.put(signedItem(key, sequence: 7, value: [1]), at: 100))
    #expect(put.stored >= 8)
    network.addNode(101, mode: .client, bootstrap: (0..<4).map(SimulatedNetwork.place))
    #expect(!network.get(key.publicKey, at: 101).items.isEmpty)
}

@Test("when all bootstrap nodes are dead, the look-up ends in bounded time and says so")
func deadBootstrap() throws {
    let network = SimulatedNetwork()
    network.addNode(100, mode: .client, bootstrap: (0..<3).map(SimulatedNetwork.place))
    let got = network.get(key.publicKey, at: 100)
    #expect(got.outcome?.ending == .noAnswer && got.outcome?.asked == 6)
    #expect(got.took <= .seconds(4))
    let put = network.put(signedItem(key, sequence: 1, value: [1]), at: 100)
    #expect(put?.lookup.ending == .noAnswer && put?.nodes.isEmpty == true)
}

@Test("without any address to begin with there is nobody to ask")
func nobody() {
    let network = SimulatedNetwork()
    network.addNode(100, mode: .client, bootstrap: [])
    let got = network.get(key.publicKey, at: 100)
    #expect(got.outcome?.ending == .nobodyToAsk && got.took == .zero)
}

@Test("a look-up begun before the bootstrap addresses are known waits for them")
func lateBootstrap() throws {
    let network = SimulatedNetwork.healthy(5)
    let client = MainlineNode(mode: .client, ownAddress: address("9.9.9.9:1"), awaitingBootstraps: true, now: network.now)
    let id = client.get(MutableItem.target(of: key.publicKey), now: network.now)
    #expect(client.takeEvents(now: network.now).isEmpty && client.takeDatagrams().isEmpty)
    client.add(bootstraps: [SimulatedNetwork.place(0)], areAll: false, now: network.now)
    #expect(client.takeDatagrams().map(\.destination) == [SimulatedNetwork.place(0)])
    client.add(bootstraps: [], areAll: true, now: network.now)
    #expect(client.takeEvents(now: network.now).isEmpty)
    client.cancel(id)
    guard case .lookupFinished(id, let outcome)? = client.takeEvents(now: network.now).first else { Issue.record("no outcome"); return }
    #expect(outcome.ending == .cancelled)
}

@Test("names that resolve to nothing end a waiting look-up")
func noBootstrapAddress() {
    let client = MainlineNode(mode: .client, ownAddress: address("9.9.9.9:1"), awaitingBootstraps: true, now: Instant(nanoseconds: 0))
    let id = client.get(MutableItem.target(of: key.publicKey), now: Instant(nanoseconds: 0))
    client.add(bootstraps: [], areAll: true, now: Instant(nanoseconds: 5))
    guard case .lookupFinished(id, let outcome)? = client.takeEvents(now: Instant(nanoseconds: 5)).first else { Issue.record("no outcome"); return }
    #expect(outcome.ending == .nobodyToAsk)
}

@Test("a look-up that finds the eight closest at odds goes on to the twenty closest")
func disagreement() throws {
    let network = SimulatedNetwork.healthy(36)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(3)])
    let old = signedItem(key, sequence: 7, value: [1]), new = signedItem(key, sequence: 8, value: [1])
    let put = try #require(network.put(old, at: 100))
    for place in put.nodes[4..<8].map(\.node.address) {
        #expect(network.nodes[place]!.store.store(.mutable(new, cas: nil), now: network.now) == nil)
    }
    let got = network.get(key.publicKey, at: 100)
    #expect(got.items.contains(new) && got.outcome?.ending == .complete)
    #expect(got.items.count >= 20)

    // One more, and they agree.
    #expect(network.nodes[put.nodes[0].node.address]!.store.store(.mutable(new, cas: nil), now: network.now) == nil)
    let agreed = network.get(key.publicKey, at: 100)
    #expect(agreed.items.contains(new) && agreed.outcome!.asked < 20)
    #expect(network.get(key.publicKey, at: 100, awaitingAll: true).outcome!.values >= 20)
}

@Test("nodes that have nothing newer than what is known send no item")
func moreRecentThan() throws {
    let network = SimulatedNetwork.healthy(22)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    _ = network.put(signedItem(key, sequence: 7, value: [1]), at: 100)
    let same = network.get(key.publicKey, at: 100, moreRecentThan: 7)
    #expect(same.items.isEmpty)
    #expect(same.outcome?.answers.contains { $0.holding == .notNewer(sequence: 7) } == true)
    #expect(network.get(key.publicKey, at: 100, moreRecentThan: 6).items.count > 4)
}

@Test("a put stops when anybody has something newer, and shows it")
func newerSeen() throws {
    let network = SimulatedNetwork.healthy(22)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let newer = signedItem(key, sequence: 8, value: [2])
    _ = network.put(newer, at: 100)
    let put = try #require(network.put(signedItem(key, sequence: 7, value: [1]), at: 100))
    #expect(put.newer == newer && put.nodes.isEmpty)
    // At one sequence the larger value is the more recent item (spec/pkarr-wire.md, 1.6).
    #expect(network.put(signedItem(key, sequence: 8, value: [1]), at: 100)?.newer == newer)
    #expect(network.put(signedItem(key, sequence: 8, value: [3]), at: 100)?.stored ?? 0 >= 20)
    #expect(Set(network.get(key.publicKey, at: 100).items.map(\.value)) == [[3]])
}

@Test("nothing is stored over an item that was not taken into account, be it older; what was known or is one's own is replaced")
func unmerged() throws {
    let network = SimulatedNetwork.healthy(22)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let foreign = signedItem(key, sequence: 7, value: [1])
    _ = network.put(foreign, at: 100)
    for previous in [nil, 6] as [Int64?] {
        let refused = try #require(network.put(signedItem(key, sequence: 9, value: [1]), at: 100, onto: PutBasis(previous: previous)))
        #expect(refused.stored == 0 && refused.nodes.isEmpty && refused.newer == nil && refused.unmerged == [foreign])
    }
    let own = signedItem(key, sequence: 9, value: [1])
    #expect(network.put(own, at: 100, onto: PutBasis(previous: 7))?.stored ?? 0 >= 20)
    #expect(network.put(signedItem(key, sequence: 11, value: [1]), at: 100, onto: PutBasis(previous: 7))?.unmerged == [own])
    #expect(network.put(signedItem(key, sequence: 11, value: [1]), at: 100, onto: PutBasis(previous: 7, known: [9]))?.stored ?? 0 >= 20)
}

@Test("of two puts at once each node takes the first and refuses the other with 301, whether it had an item before or not")
func compareAndSwap() throws {
    let network = SimulatedNetwork.healthy(20)
    for number in [100, 101] { network.addNode(number, mode: .client, bootstrap: [SimulatedNetwork.place(0)]) }
    // Some nodes are nearer to the one, some to the other.
    network.latency = { source, destination in .milliseconds(10 + (Int(source.port) + Int(destination.port)) % 7) }
    for (previous, sequences) in [(nil, [5, 6]), (5, [7, 8])] as [(Int64?, [Int64])] {
        let items = sequences.map { signedItem(key, sequence: $0, value: [UInt8($0)]) }
        let outcomes = network.putAtOnce(items, at: [100, 101], onto: PutBasis(previous: previous, known: [6]))
        #expect(outcomes.map(\.stored).reduce(0, +) == 20)
        for outcome in outcomes {
            #expect(outcome.nodes.count == 20)
            #expect(outcome.nodes.allSatisfy { if case .refused(let error) = $0.result { error.code == 301 } else { $0.result == .stored } })
        }
    }
}

@Test("a server is itself one of the nodes that store and are asked")
func loneServer() throws {
    let network = SimulatedNetwork()
    network.addNode(0, bootstrap: [])
    let item = signedItem(key, sequence: 7, value: [1])
    let put = try #require(network.put(item, at: 0))
    // Nobody else is there to be asked, but the item is kept for those who come.
    #expect(put.stored == 1)
    #expect(network.get(key.publicKey, at: 0).items == [item])
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    #expect(network.get(key.publicKey, at: 100).items == [item])
}

@Test("a server that others name to it does not ask itself, and waits for nobody")
func namedByOthers() throws {
    let network = SimulatedNetwork.healthy(12)
    let item = signedItem(key, sequence: 7, value: [1])
    let put = try #require(network.put(item, at: 0))
    #expect(put.nodes.map(\.node.address).contains(SimulatedNetwork.place(0)))
    let got = network.get(key.publicKey, at: 0, awaitingAll: true)
    #expect(got.outcome!.nodes.count { $0.address == SimulatedNetwork.place(0) } == 1, "what it has itself")
    #expect(got.outcome!.nodes.allSatisfy { $0.finding == .holding(.item(item)) })
    #expect(got.took < .milliseconds(200))
}

@Test("more look-ups than run at once wait, and more than wait are refused")
func manyLookups() {
    let network = SimulatedNetwork.healthy(5)
    let client = network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let all = (0..<MainlineNode.mostRunning + MainlineNode.mostWaiting + 5).map { _ in client.get(.random(), now: network.now) }
    network.collect(SimulatedNetwork.place(100))
    network.run(for: .seconds(60))
    var endings: [LookupOutcome.Ending: Int] = [:]
    for case .lookupFinished(_, let outcome) in network.events[SimulatedNetwork.place(100)]! { endings[outcome.ending, default: 0] += 1 }
    #expect(endings[.overloaded] == 5)
    // So many at once that the servers stop to answer their common address; every one comes to an end all the same.
    #expect(endings.values.reduce(0, +) == all.count && endings[.complete, default: 0] >= MainlineNode.mostRunning / 4)
}

@Test("the outcome tells of every node that was asked what it had, or why not, and how long it took")
func nodeByNode() throws {
    let item = signedItem(key, sequence: 7, value: [1])
    let network = SimulatedNetwork.healthy(12)
    network.addNode(100, mode: .client, bootstrap: (0..<3).map(SimulatedNetwork.place))
    let put = try #require(network.put(item, at: 100))
    #expect(put.nodes.count == 12 && put.nodes.allSatisfy { $0.result == .stored && $0.roundTrip == .milliseconds(20) })

    let refusing = SimulatedNetwork.place(1), dead = SimulatedNetwork.place(2), slow = SimulatedNetwork.place(3)
    let error = KRPCError(code: 201, text: "no")
    network.addLiar(refusing) { datagram, _ in
        guard let message = try? KRPCMessage(datagram) else { return [] }
        return [KRPCMessage(transaction: message.transaction, body: .error(error)).encoded]
    }
    network.silent.insert(dead)
    network.latency = { source, _ in .milliseconds(source == slow ? 700 : 10) }
    let outcome = try #require(network.get(key.publicKey, at: 100).outcome)
    #expect(outcome.nodes.count == outcome.asked && (8...9).contains(outcome.answers.count))
    for node in outcome.nodes {
        switch node.address {
        case refusing: #expect(node.finding == .refused(error) && node.roundTrip == .milliseconds(20) && node.id != nil)
        case dead, slow: #expect(node.finding == .notAwaited && node.roundTrip == nil)
        default: #expect(node.finding == .holding(.item(item)) && node.roundTrip == .milliseconds(20) && !node.isLate)
        }
    }

    let patient = try #require(network.get(key.publicKey, at: 100, awaitingAll: true).outcome)
    func finding(_ address: SocketAddress) -> LookupOutcome.Finding? { patient.nodes.first { $0.address == address }?.finding }
    #expect(patient.ending == .complete && patient.nodes.allSatisfy { $0.finding != .notAwaited })
    #expect(patient.nodes.first { $0.address == slow }?.roundTrip == .milliseconds(710))
    // The node has forgotten who never answered; whom it still knows it has asked.
    #expect([.timedOut, nil].contains(finding(dead)))
    #expect([.refused(error), nil].contains(finding(refusing)))
}

@Test("a bootstrap node that is asked again and in vain stands once in the outcome")
func silentBootstrap() throws {
    let network = SimulatedNetwork.healthy(3)
    let dead = SimulatedNetwork.place(50)
    network.addNode(100, mode: .client, bootstrap: [dead])
    let outcome = try #require(network.get(key.publicKey, at: 100).outcome)
    #expect(outcome.asked == 2)
    #expect(outcome.nodes == [LookupOutcome.Node(address: dead, id: nil, finding: .timedOut)])
}

@Test("an item that came just before the answer that ends the look-up is not lost")
func lastAnswerIsAnError() throws {
    let now = Instant(nanoseconds: 0)
    let client = MainlineNode(mode: .client, ownAddress: address("9.9.9.9:1"), awaitingBootstraps: true, now: now)
    let first = address("1.2.3.4:5"), second = address("1.2.4.4:5")
    client.add(bootstraps: [first, second], areAll: true, now: now)
    let item = signedItem(key, sequence: 7, value: [1])
    let id = client.put(signedItem(key, sequence: 6, value: [1]), now: now)
    var transactions: [SocketAddress: [UInt8]] = [:]
    for datagram in client.takeDatagrams() { transactions[datagram.destination] = try KRPCMessage(datagram.bytes).transaction }
    var response = KRPCResponse(id: NodeID(for: first.ip, random: randomBytes(20)))
    response.set(item)
    let error = KRPCMessage.Body.error(KRPCError(code: 201, text: "no"))
    // Both come before the events are asked for, as they do from a socket with more than one datagram.
    client.receive(KRPCMessage(transaction: transactions[first]!, body: .response(response)).encoded, from: first, now: now)
    client.receive(KRPCMessage(transaction: transactions[second]!, body: error).encoded, from: second, now: now)
    guard case .putFinished(id, let outcome)? = client.takeEvents(now: now).last else { Issue.record("no outcome"); return }
    #expect(outcome.newer == item && outcome.lookup.answers.map(\.holding) == [.item(item)])
}
