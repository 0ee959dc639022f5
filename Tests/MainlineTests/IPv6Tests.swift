import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }

private func place6(_ number: Int) -> SocketAddress { SimulatedNetwork.place6(number) }

extension SimulatedNetwork {
    /// A process with a node in each network, as pkarr-serve is.
    @discardableResult
    fileprivate func addPair(_ number: Int, mode: MainlineNode.Mode = .server, bootstrap: [SocketAddress], bootstrap6: [SocketAddress]) -> [MainlineNode] {
        let v4 = MainlineNode(mode: mode, ownAddress: Self.place(number), id: newID(for: number), awaitingBootstraps: true, now: now)
        let v6 = MainlineNode(
            mode: mode, ownAddress: Self.place6(number), id: NodeID(for: Self.place6(number).ip, random: newID(for: number).bytes), awaitingBootstraps: true,
            sibling: v4, now: now)
        add(v4, at: Self.place(number), bootstrap: bootstrap)
        add(v6, at: Self.place6(number), bootstrap: bootstrap6)
        return [v4, v6]
    }
}

@Test("a network of IPv6 nodes works as one of IPv4 does, and its ids fit its addresses")
func v6Network() throws {
    let network = SimulatedNetwork()
    for number in 0..<8 {
        let node = MainlineNode(mode: .server, ownAddress: place6(number), awaitingBootstraps: true, now: network.now)
        network.add(node, at: place6(number), bootstrap: number == 0 ? [] : [place6(0)])
    }
    network.run(for: .seconds(70))
    for number in 1..<8 { #expect(network.nodes[place6(number)]!.id.isValid(for: place6(number).ip)) }
    let client = MainlineNode(mode: .client, ownAddress: place6(100), awaitingBootstraps: true, now: network.now)
    network.add(client, at: place6(100), bootstrap: [place6(3)])
    let item = signedItem(key, sequence: 7, value: [1])
    #expect(network.put(item, at: place6(100))?.stored == 8)
    let got = network.get(key.publicKey, at: place6(100))
    #expect(got.items.count == 8 && Set(got.items) == [item])
}

@Test("the nodes of one process tell of each other's neighbours and share what they store")
func pairs() throws {
    let network = SimulatedNetwork()
    for number in 0..<6 {
        network.addPair(number, bootstrap: number == 0 ? [] : [SimulatedNetwork.place(0)], bootstrap6: number == 0 ? [] : [place6(0)])
    }
    network.run(for: .seconds(15))
    // Knows one address of the IPv4 network and none of the IPv6 one.
    let pair = network.addPair(50, bootstrap: [SimulatedNetwork.place(2)], bootstrap6: [])
    network.run(for: .seconds(15))
    #expect(pair[0].knownNodes == 6 && pair[1].knownNodes == 6)

    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(1)])
    let item = signedItem(key, sequence: 7, value: [1])
    #expect(network.put(item, at: 100)?.stored == 7)
    let client = MainlineNode(mode: .client, ownAddress: place6(101), awaitingBootstraps: true, now: network.now)
    network.add(client, at: place6(101), bootstrap: [place6(1)])
    #expect(network.get(key.publicKey, at: place6(101)).items.count == 7, "put over IPv4, got over IPv6")
}

@Test("want, nodes6 and an IPv6 address in ip are written and read as BEP 32 and BEP 42 say")
func coding() throws {
    var response = KRPCResponse(id: NodeID(hashing: [1]))
    response.nodes = [Contact(id: NodeID(hashing: [2]), address: address("192.0.2.1:6881"))]
    response.nodes6 = [Contact(id: NodeID(hashing: [3]), address: address("[2001:db8::1]:6882"))]
    let answer = KRPCMessage(transaction: [1, 2], observedAddress: address("[2001:db8::9]:5"), body: .response(response))
    #expect(try KRPCMessage(answer.encoded) == answer)
    let query = KRPCMessage(transaction: [1, 2], want: [.v4, .v6], body: .query(id: NodeID(hashing: [1]), .findNode(target: NodeID(hashing: [4]))))
    #expect(try KRPCMessage(query.encoded) == query)
    #expect(String(decoding: query.encoded, as: UTF8.self).contains("4:wantl2:n42:n6e"))
    // Cut short, of no use, or IPv4 in disguise.
    let good = response.nodes6![0].compact
    let mapped = NodeID(hashing: [5]).bytes + [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 192, 0, 2, 1, 0x1a, 0xe1]
    let multicast = NodeID(hashing: [6]).bytes + [0xff] + [UInt8](repeating: 1, count: 15) + [0x1a, 0xe1]
    #expect(Contact.list(compact6: good + mapped + multicast + good.dropLast()) == response.nodes6)
}

@Test("a server names nodes of the networks that were asked for, and of its own when nothing was said")
func wanted() throws {
    let network = SimulatedNetwork()
    for number in 0..<4 {
        network.addPair(number, bootstrap: number == 0 ? [] : [SimulatedNetwork.place(0)], bootstrap6: number == 0 ? [] : [place6(0)])
    }
    network.run(for: .seconds(15))
    func named(_ want: AddressFamilies?, by place: SocketAddress, to asker: SocketAddress) throws -> (v4: Int?, v6: Int?) {
        let node = network.nodes[place]!
        _ = node.takeDatagrams()
        let query = KRPCMessage(transaction: [1], isReadOnly: true, want: want, body: .query(id: .random(), .findNode(target: .random())))
        node.receive(query.encoded, from: asker, now: network.now)
        guard case .response(let response) = try KRPCMessage(try #require(node.takeDatagrams().last).bytes).body else { return (nil, nil) }
        return (response.nodes?.count, response.nodes6?.count)
    }
    let asker = SimulatedNetwork.place(70), asker6 = place6(70)
    #expect(try named(nil, by: SimulatedNetwork.place(1), to: asker) == (3, nil))
    #expect(try named(nil, by: place6(1), to: asker6) == (nil, 3))
    #expect(try named([.v4, .v6], by: SimulatedNetwork.place(1), to: asker) == (3, 3))
    #expect(try named([.v6], by: SimulatedNetwork.place(1), to: asker) == (nil, 3))
    #expect(try named([], by: SimulatedNetwork.place(1), to: asker) == (3, nil))
}

@Test("what came of both networks is told as one: complete where one is, with the nodes of both")
func mergedOutcomes() {
    var v4 = LookupOutcome(ending: .complete), v6 = LookupOutcome(ending: .nobodyToAsk)
    v4.asked = 3
    v4.nodes = [LookupOutcome.Node(address: address("192.0.2.1:1"), id: NodeID(hashing: [1]), finding: .holding(.nothing))]
    #expect(LookupOutcome(of: [v6, v4]) == v4)
    v6.ending = .noAnswer
    v6.nodes = [LookupOutcome.Node(address: address("[2001:db8::1]:1"), id: nil, finding: .timedOut)]
    let both = LookupOutcome(of: [v4, v6])
    #expect(both.ending == .complete && both.nodes == v4.nodes + v6.nodes)
    let older = signedItem(key, sequence: 7, value: [1]), newer = signedItem(key, sequence: 8, value: [1])
    #expect(PutOutcome(of: [PutOutcome(lookup: v4, newer: newer), PutOutcome(lookup: v6, newer: older)]).newer == newer)
}
