import Crypto
import Platform
import Testing
@testable import Mainline

private var key: SecretKey { SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))! }

/// A server and somebody who asks it.
private final class Conversation {
    let server = MainlineNode(
        mode: .server, ownAddress: address("9.9.9.9:6881"), awaitingBootstraps: false, storeCapacity: 20_000, now: Instant(nanoseconds: 0))
    var now = Instant(nanoseconds: 0)
    var asker = address("8.8.4.4:1234")
    let id = NodeID.random()

    func ask(_ query: Bencode, transaction: [UInt8] = [1, 2, 3, 4]) -> KRPCMessage? {
        server.receive(query.encoded, from: asker, now: now)
        return server.takeDatagrams().lazy.filter { $0.destination == self.asker }.compactMap { try? KRPCMessage($0.bytes) }
            .first { if case .query = $0.body { false } else { $0.transaction == transaction } }
    }

    func ask(_ method: String, _ arguments: [String: Bencode?], transaction: [UInt8] = [1, 2, 3, 4]) -> KRPCMessage? {
        ask(.sorted([
            "a": .dictionary(arguments.merging(["id": .string(id.bytes)]) { $1 }
                .compactMap { name, value in value.map { Bencode.Entry(key: Array(name.utf8), value: $0) } }), "q": .string(Array(method.utf8)), "ro": .integer(1),
            "t": .string(transaction), "y": .string([UInt8(ascii: "q")]),
        ]), transaction: transaction)
    }

    func response(_ method: String, _ arguments: [String: Bencode?]) -> KRPCResponse? {
        if case .response(let response)? = ask(method, arguments)?.body { response } else { nil }
    }

    func errorCode(_ method: String, _ arguments: [String: Bencode?]) -> Int64? {
        if case .error(let error)? = ask(method, arguments)?.body { error.code } else { nil }
    }

    func token(for target: NodeID) -> [UInt8] { response("get", ["target": .string(target.bytes)])!.token! }

    /// Nil when it is stored, else the error's code.
    func put(_ item: MutableItem, cas: Int64? = nil, changing changes: [String: Bencode?] = [:]) -> Int64? {
        errorCode("put", arguments(of: item, cas: cas).merging(changes) { $1 })
    }

    func arguments(of item: MutableItem, cas: Int64? = nil) -> [String: Bencode?] {
        [
            "token": .string(token(for: item.target)), "k": .string(item.key.bytes), "seq": .integer(item.sequence),
            "sig": .string(item.signature), "v": try! Bencode(item.encodedValue), "salt": item.salt.isEmpty ? nil : .string(item.salt),
            "cas": cas.map { .integer($0) },
        ]
    }
}

@Test("a ping is answered with our id, the asker's address and his transaction id, of whatever length", arguments: [1, 2, 4, 8, 32])
func ping(length: Int) throws {
    let conversation = Conversation()
    let transaction = [UInt8](repeating: 9, count: length)
    let message = try #require(conversation.ask("ping", [:], transaction: transaction))
    #expect(message.transaction == transaction && message.observedAddress == conversation.asker && !message.isReadOnly)
    #expect(message.body == .response(KRPCResponse(id: conversation.server.id)))
}

@Test("an item is stored, given out, and left out for those who have it")
func storing() throws {
    let conversation = Conversation()
    let item = signedItem(key, sequence: 10, value: Array("first".utf8))
    let target: Bencode = .string(item.target.bytes)
    let miss = try #require(conversation.response("get", ["target": target]))
    #expect(miss.token != nil && miss.nodes == [] && miss.encodedValue == nil && miss.sequence == nil)
    #expect(conversation.put(item) == nil)
    let hit = try #require(conversation.response("get", ["target": target]))
    #expect(hit.mutableItem(for: item.target) == .success(item))
    #expect(conversation.response("get", ["target": target, "seq": .integer(9)])?.encodedValue == item.encodedValue)
    for known in [10, 11] as [Int64] {
        let answer = try #require(conversation.response("get", ["target": target, "seq": .integer(known)]))
        #expect(answer.sequence == 10 && answer.encodedValue == nil && answer.key == nil && answer.signature == nil)
    }
}

@Test("an immutable item is kept under the hash of its value")
func immutable() throws {
    let conversation = Conversation()
    let value = Bencode.list([.integer(1), .string([2])])
    let target = NodeID(hashing: value.encoded)
    #expect(conversation.response("put", ["token": .string(conversation.token(for: target)), "v": value]) != nil)
    #expect(conversation.response("get", ["target": .string(target.bytes)])?.encodedValue == value.encoded)
}

@Test("each wrong put is refused with its own code")
func refusals() {
    let conversation = Conversation()
    let item = signedItem(key, sequence: 10, value: Array("first".utf8))
    #expect(conversation.put(item, changing: ["token": .string([0, 0, 0, 0])]) == 203)
    #expect(conversation.put(item, changing: ["token": nil as Bencode?]) == 203)
    #expect(conversation.put(item, changing: ["v": nil as Bencode?]) == 203)
    #expect(conversation.put(item, changing: ["k": nil as Bencode?]) == 203)
    #expect(conversation.put(item, changing: ["sig": nil as Bencode?]) == 203)
    #expect(conversation.put(item, changing: ["seq": nil as Bencode?]) == 203)
    #expect(conversation.put(item, changing: ["k": .string([UInt8](repeating: 2, count: 32))]) == 203)
    #expect(conversation.put(item, changing: ["seq": .integer(11)]) == 206)
    #expect(conversation.put(item, changing: ["sig": .string([UInt8](repeating: 0, count: 64))]) == 206)
    #expect(conversation.put(signedItem(key, sequence: -1, value: [])) == 203)
    #expect(conversation.put(signedItem(key, sequence: 1, value: [UInt8](repeating: 0, count: 1001))) == 205)
    #expect(conversation.put(signedItem(key, sequence: 1, value: [], salt: [UInt8](repeating: 0, count: 65))) == 207)
    #expect(conversation.server.storedItems == 0)
    #expect(conversation.put(signedItem(key, sequence: .max, value: [UInt8](repeating: 0, count: 1000))) == nil)
    #expect(conversation.put(signedItem(key, sequence: 1, value: [], salt: [UInt8](repeating: 0, count: 64))) == nil)
    #expect(conversation.errorCode("get", [:]) == 203)
    #expect(conversation.errorCode("find_node", [:]) == 203)
    #expect(conversation.errorCode("announce", [:]) == 204)
}

@Test("sequence and cas are compared with what is stored")
func sequences() throws {
    let conversation = Conversation()
    #expect(conversation.put(signedItem(key, sequence: 10, value: [5]), cas: 3) == nil)
    #expect(conversation.put(signedItem(key, sequence: 9, value: [5])) == 302)
    #expect(conversation.put(signedItem(key, sequence: 11, value: [5]), cas: 9) == 301)
    #expect(conversation.put(signedItem(key, sequence: 9, value: [5]), cas: 9) == 301)
    #expect(conversation.put(signedItem(key, sequence: 11, value: [5]), cas: 10) == nil)
    // Of two items with one sequence the larger value stays, in whatever order they come.
    #expect(conversation.put(signedItem(key, sequence: 11, value: [6])) == nil)
    #expect(conversation.put(signedItem(key, sequence: 11, value: [4])) == nil)
    let target = MutableItem.target(of: key.publicKey)
    #expect(try conversation.response("get", ["target": .string(target.bytes)])?.mutableItem(for: target)?.get().value == [6])
}

@Test("a token serves one address, whatever the port, for five to ten minutes")
func tokens() {
    let conversation = Conversation()
    let item = signedItem(key, sequence: 10, value: [1])
    let arguments = conversation.arguments(of: item)
    conversation.asker = address("8.8.4.5:1234")
    #expect(conversation.errorCode("put", arguments) == 203)
    conversation.asker = address("8.8.4.4:4321")
    conversation.now = conversation.now + .seconds(301)
    #expect(conversation.response("put", arguments) != nil)
    conversation.now = conversation.now + .seconds(301)
    #expect(conversation.errorCode("put", arguments) == 203)
    let young = conversation.arguments(of: item)
    conversation.now = conversation.now + .seconds(3600)
    #expect(conversation.errorCode("put", young) == 203)
}

@Test("the store keeps within its memory and drops what was not used for longest")
func eviction() {
    let store = ItemStore(capacity: 20_000)
    let now = Instant(nanoseconds: 1)
    let first = KRPCPut.immutable(Bencode.integer(0).encoded)
    for number in 0..<1000 as Range<Int64> {
        #expect(store.store(.immutable(Bencode.integer(number).encoded), now: now) == nil)
        #expect(store.item(at: first.target, now: now) != nil)
        #expect(store.bytes <= 20_000)
    }
    #expect(store.count < 40 && store.item(at: KRPCPut.immutable(Bencode.integer(999).encoded).target, now: now) != nil)
    #expect(store.item(at: KRPCPut.immutable(Bencode.integer(500).encoded).target, now: now) == nil)
}

@Test("one address gets a bounded number of answers, others are not concerned")
func limiting() {
    let conversation = Conversation()
    #expect((0..<500).count { _ in conversation.ask("ping", [:]) != nil } == MainlineNode.queryQuota.burst)
    conversation.asker = address("8.8.4.5:1234")
    #expect(conversation.ask("ping", [:]) != nil)
    conversation.asker = address("8.8.4.4:1234")
    conversation.now = conversation.now + .seconds(1)
    #expect((0..<500).count { _ in conversation.ask("ping", [:]) != nil } == MainlineNode.queryQuota.count)
}

@Test("an unknown method with a target is answered with nodes, as BEP 5 nodes do for later methods")
func unknownMethod() {
    #expect(Conversation().response("get_peers", ["info_hash": .string([UInt8](repeating: 1, count: 20))])?.nodes == [])
}

@Test("our own query that comes back is not answered")
func ownQuery() throws {
    let now = Instant(nanoseconds: 0)
    let server = MainlineNode(mode: .server, ownAddress: address("0.0.0.0:6881"), awaitingBootstraps: true, now: now)
    server.add(bootstraps: [address("9.9.9.9:6881")], areAll: true, now: now)
    let query = try #require(server.takeDatagrams().first)
    server.receive(query.bytes, from: query.destination, now: now)
    #expect(server.takeDatagrams().isEmpty)
}

@Test("a server takes an id that fits its address once enough others agree on it")
func electedAddress() {
    let network = SimulatedNetwork.healthy(10)
    let server = network.addNode(50, bootstrap: [SimulatedNetwork.place(0)], id: .random())
    let own = SimulatedNetwork.place(50).ip
    let wasValid = server.id.isValid(for: own)
    network.run(for: .seconds(61))
    #expect(!wasValid || server.id.isValid(for: own))
    #expect(server.id.isValid(for: own) && server.knownNodes == 10)
}
