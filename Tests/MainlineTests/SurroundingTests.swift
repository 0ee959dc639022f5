import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }
private let honest = 60
private let surrounding = 30

/// An honest network in which somebody has crowded the key's place with nodes of his own, which say yes to every put and keep nothing
/// but one item, if any. Their
/// addresses are few in kind, and their ids fit them as BEP 42 demands: he has rented until he had enough.
private func surrounded(keeping item: MutableItem? = nil) -> SimulatedNetwork {
    let network = SimulatedNetwork.healthy(honest)
    let target = MutableItem.target(of: key.publicKey)
    var sybils: [Contact] = []
    var number = 1000
    while sybils.count < surrounding {
        number += 1
        let place = SimulatedNetwork.place(number)
        let id = NodeID(for: place.ip, random: target.bytes)
        if id.commonPrefix(with: target) >= 9 { sybils.append(Contact(id: id, address: place)) }
    }
    let neighbours = network.nodes.sorted { $0.value.id.distance(to: target) < $1.value.id.distance(to: target) }.prefix(10).map(\.key)
    for sybil in sybils {
        network.addLiar(sybil.address) { [sybils] datagram, source in
            guard let message = try? KRPCMessage(datagram), case .query(_, let query) = message.body else { return [] }
            var response = KRPCResponse(id: sybil.id)
            if case .get = query {
                response.token = [1]
                if let item { response.set(item) }
            }
            response.nodes = Array(sybils.prefix(20))
            return [KRPCMessage(transaction: message.transaction, observedAddress: source, body: .response(response)).encoded]
        }
        // Known to their honest neighbours, as all that answer are. Those farther away have room for few of so small a part of the space.
        let query = KRPCMessage(transaction: [1, 2, 3, 4], body: .query(id: sybil.id, .ping)).encoded
        for place in neighbours { network.launch(query, from: sybil.address, to: place) }
    }
    network.run(for: .seconds(2))
    return network
}

@Test("an item reaches the honest nodes past a crowd that somebody has put around its place, and is found there")
func surroundedItem() throws {
    let network = surrounded()
    let item = signedItem(key, sequence: 7, value: [1])
    network.addNode(100_000, mode: .client, bootstrap: (0..<3).map(SimulatedNetwork.place))
    let put = try #require(network.put(item, at: 100_000))
    let keepers = network.nodes.values.filter { $0.storedItems == 1 }.count
    #expect(keepers >= 8 && put.nodes.count > 20 && put.nodes.count <= Lookup.mostNodes)

    network.addNode(100_001, mode: .client, bootstrap: (3..<6).map(SimulatedNetwork.place))
    let got = network.get(key.publicKey, at: 100_001)
    #expect(Set(got.items) == [item])
    #expect(got.took < .seconds(1))
}

@Test("an old item that a crowd around its place agrees on does not hide the new one from who knows the size of the network")
func replayedItem() throws {
    let network = surrounded(keeping: signedItem(key, sequence: 6, value: [1]))
    let item = signedItem(key, sequence: 7, value: [1])
    network.addNode(100_000, mode: .client, bootstrap: (0..<3).map(SimulatedNetwork.place))
    _ = network.put(item, at: 100_000)
    let got = network.get(key.publicKey, at: 100_000)
    #expect(got.items.contains(item) && got.outcome!.asked > 20)
}

@Test("the size of the network is known within a third after a few look-ups, and each target counts once")
func size() throws {
    var size = NetworkSize()
    var generator = SeededGenerator(seed: 3)
    func random() -> NodeID { NodeID((0..<20).map { _ in UInt8.random(in: .min ... .max, using: &generator) })! }
    // Addresses of a local network fit every id.
    let everybody = (1...2000).map { Contact(id: random(), address: address("10.0.\($0 / 250).\($0 % 250):6881")) }
    #expect(size.estimate == nil && size.reach(at: random()) == nil)
    for _ in 0..<9 {
        let target = random()
        let closest = everybody.sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }.prefix(20)
        for _ in 0..<3 { size.note(Array(closest), of: target) }
    }
    #expect((1300...2700).contains(try #require(size.estimate)))
    let target = random()
    let reach = try #require(size.reach(at: target))
    #expect((8...40).contains(everybody.count { $0.id.distance(to: target) < reach.distance }))
    // With fewer than twenty nodes there is nothing to reckon with.
    var small = NetworkSize()
    small.note(Array(everybody.prefix(19)), of: target)
    #expect(small.estimate == nil)
    #expect(NetworkSize(remembered: 5_000_000).reach(at: target)!.distance < reach.distance)
}

@Test("a node that is silent to an ordinary transaction id is asked once more with a short one when there is hardly anybody else")
func shortTransactionIDs() throws {
    let old = SimulatedNetwork.place(1)
    let network = SimulatedNetwork()
    network.addLiar(old) { datagram, source in
        // As mainline up to 5.x: exactly two bytes, or it says nothing.
        guard let message = try? KRPCMessage(datagram), message.transaction.count == 2 else { return [] }
        var response = KRPCResponse(id: NodeID(for: old.ip, random: [UInt8](repeating: 1, count: 20)))
        response.token = [1]
        return [KRPCMessage(transaction: message.transaction, observedAddress: source, body: .response(response)).encoded]
    }
    network.addNode(100, mode: .client, bootstrap: [old])
    let got = network.get(key.publicKey, at: 100)
    let outcome = try #require(got.outcome)
    #expect(outcome.ending == .complete && outcome.asked == 2 && outcome.answers.count == 1)
    #expect(got.took < .seconds(1))
}

@Test("one lost datagram costs a small network a retry, not the node")
func lostQuery() throws {
    let network = SimulatedNetwork.healthy(5)
    let item = signedItem(key, sequence: 7, value: [1])
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    #expect(network.put(item, at: 100)?.stored == 5)
    var lost: Set<SocketAddress> = []
    network.latency = { source, destination in
        source == SimulatedNetwork.place(100) && lost.insert(destination).inserted ? nil : .milliseconds(10)
    }
    let got = network.get(key.publicKey, at: 100)
    #expect(got.items.count == 5 && got.outcome?.asked == 10)
    #expect(got.took < .seconds(1))
}

@Test("when all nodes become slow at once, as on a busy machine, they are waited for")
func suddenlySlow() throws {
    let network = SimulatedNetwork.healthy(6)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    _ = network.put(signedItem(key, sequence: 7, value: [1]), at: 100)
    // The one that answers first has nothing.
    let empty = SimulatedNetwork.place(3)
    network.addLiar(empty) { datagram, source in
        guard let message = try? KRPCMessage(datagram) else { return [] }
        let response = KRPCResponse(id: network.nodes[empty]!.id)
        return [KRPCMessage(transaction: message.transaction, observedAddress: source, body: .response(response)).encoded]
    }
    network.latency = { source, _ in .milliseconds(source == SimulatedNetwork.place(100) ? 1 : source == empty ? 900 : 920) }
    let got = network.get(key.publicKey, at: 100)
    #expect(got.items.count == 5 && got.outcome?.ending == .complete)
}
