import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }
private let here = address("9.9.9.9:1")

private func remembered(_ memory: NodeMemory?, now: Instant) -> MainlineNode {
    MainlineNode(mode: .client, ownAddress: here, memory: memory, awaitingBootstraps: true, now: now)
}

@Test("what is remembered reads back as it was written")
func memoryRoundTrip() throws {
    let memory = NodeMemory(
        id: NodeID(hashing: [1]), address: IPAddress("203.0.113.7"), networkSize: 8_000_000,
        nodes: [Contact(id: NodeID(hashing: [2]), address: address("198.51.100.1:6881")), Contact(id: NodeID(hashing: [3]), address: address("[2001:db8::1]:7"))])
    #expect(try NodeMemory(Array(memory.text.utf8)) == memory)
    #expect(try NodeMemory(Array((memory.text + "more of a later format\n").utf8)) == memory)
    let bare = NodeMemory(id: NodeID(hashing: [1]), nodes: [])
    #expect(try NodeMemory(Array(bare.text.utf8)) == bare)
    let many = NodeMemory(id: bare.id, nodes: (0..<500).map { Contact(id: NodeID(hashing: [4]), address: address("192.0.2.1:\(1000 + $0)")) })
    #expect(try NodeMemory(Array(many.text.utf8)).nodes.count == NodeMemory.mostNodes)
}

private let idLine = "keyhole DHT nodes, format 1\nid \(NodeID(hashing: []))\n"

/// Files, each with the line that is wrong. With their type: Swift 6.0 stumbles over them as arguments of a macro.
private let badMemories: [(text: String, line: Int)] = [
    ("", 1), ("something else\n", 1), ("keyhole DHT nodes, format 1\n", 2), ("keyhole DHT nodes, format 1\nid 12\n", 2),
    ("\(idLine)node \(NodeID(hashing: [])) 1.2.3.4:0\n", 3), ("\(idLine)node \(NodeID(hashing: [])) 1.2.3.4:5 6\n", 3),
    ("\(idLine)size -1\n", 3), ("\(idLine)size 99999999999\n", 3), ("\(idLine)address x\n", 3),
]

@Test("a file that holds anything wrong is refused whole, with the line", arguments: badMemories)
func badMemory(_ text: String, _ line: Int) {
    do {
        _ = try NodeMemory(Array(text.utf8))
        Issue.record("accepted")
    } catch { #expect(error.line == line) }
}

@Test("with what an earlier run knew, a look-up needs no bootstrap node and begins where it ends")
func secondRun() throws {
    let network = SimulatedNetwork.healthy(30)
    let item = signedItem(key, sequence: 7, value: [1])
    let first = network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    #expect(first.memory(now: network.now) == nil, "nobody has answered yet, and what earlier runs knew is better than nothing")
    _ = network.put(item, at: 100)
    let memory = try #require(first.memory(now: network.now))
    #expect(memory.nodes.count >= 20 && memory.id == first.id && memory.networkSize != nil)
    // The address that others see gives the id (BEP 42), also that of a client.
    #expect(memory.address == SimulatedNetwork.place(100).ip && memory.id.isValid(for: SimulatedNetwork.place(100).ip))

    let again = MainlineNode(mode: .client, ownAddress: here, memory: try NodeMemory(Array(memory.text.utf8)), awaitingBootstraps: false, now: network.now)
    network.add(again, at: here)
    #expect(again.id == memory.id)
    let got = network.get(key.publicKey, at: here)
    #expect(got.items.count > 4 && got.took <= .milliseconds(60))
}

@Test("when all that an earlier run knew have gone, the bootstrap nodes are asked, after a moment")
func staleMemory() throws {
    let network = SimulatedNetwork.healthy(24)
    let item = signedItem(key, sequence: 7, value: [1])
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    _ = network.put(item, at: 100)
    let gone = (0..<200).map { Contact(id: network.newID(for: 500 + $0), address: SimulatedNetwork.place(500 + $0)) }
    let client = remembered(NodeMemory(id: NodeID(hashing: [1]), nodes: gone), now: network.now)
    network.add(client, at: here, bootstrap: [SimulatedNetwork.place(0)])
    let got = network.get(key.publicKey, at: here)
    #expect(got.items.count > 4 && got.outcome?.ending == .complete)
    #expect(got.took < .seconds(2), "one patience, not a time-out for each")
    // The dead are not remembered again before the living.
    network.run(for: .seconds(3))
    let memory = try #require(client.memory(now: network.now))
    #expect(memory.nodes.prefix(8).allSatisfy { !gone.contains($0) })
}

@Test("nodes of the other family of addresses are of no use")
func foreignMemory() {
    let contact = Contact(id: NodeID(hashing: [2]), address: address("[2001:db8::1]:7"))
    let node = remembered(NodeMemory(id: NodeID(hashing: [1]), nodes: [contact]), now: Instant(nanoseconds: 0))
    #expect(node.knownNodes == 0)
}

@Test("a server whose address changes notices and takes an id that fits the new one")
func changedAddress() throws {
    let now = Instant(nanoseconds: 1)
    var maintenance = Maintenance(now: now)
    let before = IPAddress("203.0.113.7")!, after = IPAddress("203.0.113.200")!
    for voter in 0..<40 { maintenance.note(vote: before, by: SimulatedNetwork.place(voter).ip) }
    #expect(maintenance.electedAddress == before)
    // Other voters than those of before: who was a neighbour then need not be one now.
    for voter in 100..<130 { maintenance.note(vote: after, by: SimulatedNetwork.place(voter).ip) }
    #expect(maintenance.electedAddress == after)
    // One who votes often has one vote.
    for _ in 0..<100 { maintenance.note(vote: before, by: SimulatedNetwork.place(1).ip) }
    #expect(maintenance.electedAddress == after)
}
