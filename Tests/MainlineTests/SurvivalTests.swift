import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }

/// What can be wrong with a node.
enum Ailment: CaseIterable, Sendable {
    case dead, slow, wrongTarget, wrongToken, badSignature, endlessNodes, malformed

    /// What it makes of its honest answer.
    fileprivate func answer(_ honest: [UInt8], to query: KRPCQuery, _ generator: inout SeededGenerator) -> [UInt8]? {
        guard var message = try? KRPCMessage(honest), case .response(var response) = message.body else { return honest }
        switch self {
        case .dead: return nil
        case .slow: return honest
        case .wrongTarget: response.set(signedItem(SecretKey(seed: [UInt8](repeating: 1, count: 32))!, sequence: 99, value: [9]))
        case .wrongToken: if response.token != nil { response.token = [0xde, 0xad] }
        case .badSignature:
            response.set(signedItem(key, sequence: 99, value: [9]))
            response.signature = [UInt8](repeating: 0x55, count: 64)
        case .endlessNodes:
            guard case .get(let target, _) = query else { return honest }
            response.nodes = (0..<20).map { _ in
                let place = SimulatedNetwork.place(5000 + Int.random(in: 0..<20_000, using: &generator))
                return Contact(id: NodeID(for: place.ip, random: target.bytes), address: place)
            }
        case .malformed: return Array(honest.prefix(Int.random(in: 0..<honest.count, using: &generator)))
        }
        message.body = .response(response)
        return message.encoded
    }
}

extension SimulatedNetwork {
    /// Makes every other node ill, the n-th with the n-th of the ailments in turn, but not the one to begin with.
    fileprivate func infect(with ailments: [Ailment], every step: Int = 2) {
        var generator = SeededGenerator(seed: 4)
        var slow: Set<SocketAddress> = []
        for (turn, number) in stride(from: 1, to: nodes.count, by: step).enumerated() {
            let place = SimulatedNetwork.place(number), node = nodes[place]!, ailment = ailments[turn % ailments.count]
            if ailment == .slow { slow.insert(place) }
            addLiar(place) { [unowned self] datagram, source in
                guard let message = try? KRPCMessage(datagram), case .query(_, let query) = message.body else { return [] }
                node.receive(datagram, from: source, now: now)
                return node.takeDatagrams().filter { $0.destination == source }.compactMap { ailment.answer($0.bytes, to: query, &generator) }
            }
        }
        latency = { source, _ in .milliseconds(slow.contains(source) ? 1900 : 10) }
    }
}

@Test("half of the nodes dead, slow, lying or talking nonsense: what is put is stored by the others and found", arguments: Ailment.allCases)
func halfIll(_ ailment: Ailment) throws { try survive([ailment]) }

@Test("half of the nodes ill in all ways together")
func mixedIllness() throws { try survive(Ailment.allCases) }

private func survive(_ ailments: [Ailment]) throws {
    let network = SimulatedNetwork.healthy(32)
    network.infect(with: ailments)
    let item = signedItem(key, sequence: 7, value: [1])
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let put = try #require(network.put(item, at: 100))
    #expect(put.newer == nil && put.stored >= 8)
    #expect(put.lookup.asked <= 200)

    for number in 101..<103 {
        network.addNode(number, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
        let got = network.get(key.publicKey, at: number)
        let outcome = try #require(got.outcome)
        #expect(Set(got.items) == [item] && got.items.count > 4)
        #expect(outcome.asked <= 200 && got.took <= .seconds(5))
    }
}

@Test("six nodes of ten dead: one that knows its neighbours finds the item at once, and a newcomer soon")
func mostAreDead() throws {
    let network = SimulatedNetwork.healthy(50)
    network.addNode(100, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let item = signedItem(key, sequence: 7, value: [1])
    _ = network.put(item, at: 100)
    for number in 1..<50 where number % 5 < 3 { network.silent.insert(SimulatedNetwork.place(number)) }
    let settled = network.get(key.publicKey, at: 100)
    #expect(Set(settled.items) == [item] && settled.took < .seconds(2))
    network.addNode(101, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let newcomer = network.get(key.publicKey, at: 101)
    #expect(Set(newcomer.items) == [item] && newcomer.took < .seconds(3))
    #expect(newcomer.outcome!.asked <= 80)
}
