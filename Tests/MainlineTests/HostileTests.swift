import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }

/// A liar that answers every query with what `lie` makes of an honest answer.
private func liar(at number: Int, _ lie: @escaping (inout KRPCResponse, NodeID) -> Void) -> (SocketAddress, SimulatedNetwork.Liar) {
    let place = SimulatedNetwork.place(number)
    let id = NodeID(for: place.ip, random: randomBytes(20))
    return (place, { datagram, source in
        guard let message = try? KRPCMessage(datagram), case .query(_, let query) = message.body else { return [] }
        var response = KRPCResponse(id: id)
        response.token = [1]
        response.nodes = []
        if case .get(let target, _) = query { lie(&response, target) }
        return [KRPCMessage(transaction: message.transaction, observedAddress: source, body: .response(response)).encoded]
    })
}

extension SimulatedNetwork {
    /// Makes a liar known to everybody by letting honest nodes name it in their tables.
    fileprivate func spread(_ number: Int, _ lie: @escaping (inout KRPCResponse, NodeID) -> Void) {
        let (place, answer) = liar(at: number, lie)
        addLiar(place, answer)
        let query = KRPCMessage(transaction: [1, 2, 3, 4], body: .query(id: .random(), .ping)).encoded
        for honest in 0..<20 { launch(query, from: place, to: SimulatedNetwork.place(honest)) }
        run(for: .seconds(1))
    }

    fileprivate func holding(_ item: MutableItem) -> SimulatedNetwork {
        addNode(100, mode: .client, bootstrap: (0..<3).map(SimulatedNetwork.place))
        _ = put(item, at: 100)
        return self
    }
}

@Test("items of other keys, unsigned, negative, incomplete or oversized ones are never passed on, true ones are")
func badItems() throws {
    let item = signedItem(key, sequence: 7, value: [1])
    let network = SimulatedNetwork.healthy(20).holding(item)
    let lies: [(ItemFlaw, (inout KRPCResponse) -> Void)] = [
        (.wrongKey, { $0.set(signedItem(.generate(), sequence: 9, value: [2])) }),
        (.badSignature, { response in var forged = signedItem(key, sequence: 9, value: [2]); forged.sequence = 10; response.set(forged) }),
        (.negativeSequence, { $0.set(signedItem(key, sequence: -5, value: [2])) }),
        (.tooLarge, { $0.set(signedItem(key, sequence: 9, value: [UInt8](repeating: 0, count: 1001))) }),
        (.incomplete, { $0.set(signedItem(key, sequence: 9, value: [2])); $0.signature = nil }),
    ]
    for (index, lie) in lies.enumerated() {
        let (place, answer) = liar(at: 30 + index) { response, _ in lie.1(&response) }
        network.addLiar(place, answer)
    }
    network.addNode(101, mode: .client, bootstrap: [SimulatedNetwork.place(0)] + (30..<35).map(SimulatedNetwork.place))
    let got = network.get(key.publicKey, at: 101)
    #expect(Set(got.items) == [item])
    let flaws = try #require(got.outcome).answers.compactMap { if case .flawed(let flaw) = $0.holding { flaw } else { nil } }
    #expect(Set(flaws) == Set(lies.map(\.0)))
}

@Test("a sequence without an item proves nothing and stops no put")
func bareSequence() throws {
    let network = SimulatedNetwork.healthy(20).holding(signedItem(key, sequence: 7, value: [1]))
    network.spread(30) { response, _ in response.sequence = .max }
    let put = try #require(network.put(signedItem(key, sequence: 8, value: [2]), at: 100))
    #expect(put.newer == nil && put.stored >= 19)
}

@Test("liars that name ever closer nodes which do not exist can't keep a look-up from its end or from the item")
func inventedNodes() throws {
    let item = signedItem(key, sequence: 7, value: [1])
    let network = SimulatedNetwork.healthy(24).holding(item)
    for number in 50..<55 {
        network.spread(number) { response, target in
            response.nodes = (0..<40).map { _ in
                let ip = IPAddress.v4(UInt32.random(in: 0x0b00_0000..<0x7f00_0000))
                return Contact(id: NodeID(target.bytes.prefix(18) + randomBytes(2))!, address: SocketAddress(ip: ip, port: 6881))
            }
        }
    }
    network.addNode(101, mode: .client, bootstrap: (50..<55).map(SimulatedNetwork.place) + [SimulatedNetwork.place(0)])
    let got = network.get(key.publicKey, at: 101)
    let outcome = try #require(got.outcome)
    #expect(Set(got.items) == [item] && outcome.values > 4)
    #expect(outcome.asked <= Lookup.mostQueries && got.took <= MainlineNode.longestLookup)
}

@Test("a whole crowd of answering liars is left behind after a bounded number of queries")
func endlessCrowd() throws {
    let network = SimulatedNetwork()
    for number in 0..<600 {
        let (place, answer) = liar(at: number) { response, target in
            response.nodes = (0..<20).map { _ in
                let place = SimulatedNetwork.place(Int.random(in: 0..<600))
                // Valid for the address as far as BEP 42 goes, and as close to the target as that allows.
                return Contact(id: NodeID(for: place.ip, random: target.bytes), address: place)
            }
        }
        network.addLiar(place, answer)
    }
    network.addNode(2000, mode: .client, bootstrap: [SimulatedNetwork.place(0)])
    let got = network.get(key.publicKey, at: 2000)
    #expect(got.items.isEmpty && got.outcome != nil && got.outcome!.asked <= Lookup.mostQueries)
    #expect(got.took <= MainlineNode.longestLookup)
}

@Test("an answer from another address, of another transaction, or marked read-only is ignored")
func strangers() throws {
    let now = Instant(nanoseconds: 0)
    let client = MainlineNode(mode: .client, ownAddress: address("9.9.9.9:1"), awaitingBootstraps: true, now: now)
    client.add(bootstraps: [address("1.2.3.4:5")], areAll: true, now: now)
    _ = client.get(.random(), now: now)
    let query = try KRPCMessage(try #require(client.takeDatagrams().first).bytes)
    #expect(query.transaction.count == 4 && query.isReadOnly)
    let answer = KRPCMessage(transaction: query.transaction, body: .response(KRPCResponse(id: .random())))
    var other = answer, readOnly = answer
    other.transaction = [0] + answer.transaction.dropFirst(2) + [1]
    readOnly.isReadOnly = true
    client.receive(answer.encoded, from: address("1.2.3.4:6"), now: now)
    client.receive(other.encoded, from: address("1.2.3.4:5"), now: now)
    client.receive(readOnly.encoded, from: address("1.2.3.4:5"), now: now)
    #expect(client.knownNodes == 0 && client.takeEvents(now: now).isEmpty)
    client.receive(answer.encoded, from: address("1.2.3.4:5"), now: now)
    #expect(client.knownNodes == 1 && client.takeEvents(now: now).count == 1)
}

@Test("naming an honest node under a false id does not hide it")
func falseIDs() throws {
    let item = signedItem(key, sequence: 7, value: [1])
    let network = SimulatedNetwork.healthy(8).holding(item)
    let (place, answer) = liar(at: 30) { response, target in
        response.nodes = (0..<8).map { Contact(id: NodeID(for: SimulatedNetwork.place($0).ip, random: randomBytes(20)), address: SimulatedNetwork.place($0)) }
    }
    network.addLiar(place, answer)
    network.addNode(101, mode: .client, bootstrap: [place])
    #expect(network.get(key.publicKey, at: 101, awaitingAll: true).items.count == 8)
}

extension KRPCResponse {
    mutating func set(_ item: MutableItem) {
        key = item.key.bytes
        sequence = item.sequence
        signature = item.signature
        encodedValue = item.encodedValue
    }
}
