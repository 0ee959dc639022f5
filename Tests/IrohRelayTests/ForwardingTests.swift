import Crypto
import Iroh
import JSON
import Platform
import Testing

@testable import IrohRelay

/// Two clients that are connected.
private func pair(_ hub: RelayHub) -> (TestClient, TestClient) {
    let clients = (TestClient(hub, seed: 1).connect(), TestClient(hub, seed: 2).connect())
    _ = clients.0.news()
    _ = clients.1.news()
    return clients
}

@Test("what a client sends reaches the other as it was, with the sender's id", arguments: [nil, 0, 1452] as [UInt16?])
func forwarding(_ segmentSize: UInt16?) {
    let (first, second) = pair(RelayHub())
    let content = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
    let header = RelayDatagramHeader(direction: .toRelay, id: second.id, ecn: 2, segmentSize: segmentSize)
    first.send(.datagrams(header, content: content))
    let expected = RelayDatagramHeader(direction: .toClient, id: first.id, ecn: 2, segmentSize: segmentSize)
    #expect(second.news() == [.datagrams(expected, content: content)])
    #expect(first.news().isEmpty)
}

@Test("the recorded session of two real endpoints is relayed frame for frame")
func recordedSession() throws {
    let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
    let lines = try readFile("\(folder)/Vectors/relay-session.jsonl", limit: 1 << 20).split(separator: UInt8(ascii: "\n"))
        .map { try JSONValue(parsing: Array($0)).objectValue! }
    let ids = try lines.filter { $0["name"]?.stringValue == "ClientAuth" }.map { String(try #require($0["hex"]?.stringValue).dropFirst(2).prefix(64)) }
    let (first, second) = pair(RelayHub())
    let clients = [ids[0]: first, ids[1]: second]
    var sent: [String: [RelayFrame]] = [:]
    for line in lines {
        guard let name = line["name"]?.stringValue, name.contains("Datagram"), let count = line["payload"]?.integerValue.map({ Int($0) }) else { continue }
        let (source, destination) = (line["src"]!.stringValue!, line["dst"]!.stringValue!)
        let content = [UInt8](repeating: UInt8(count & 255), count: count)
        if name.hasPrefix("Client") {
            let segment = line["seg"]?.integerValue.map { UInt16($0) }
            let ecn = UInt8(line["ecn"]!.integerValue!)
            let header = RelayDatagramHeader(direction: .toRelay, id: clients[destination]!.id, ecn: ecn, segmentSize: segment)
            let frame = RelayFrame.datagrams(header, content: content)
            #expect(frame.encoded.count == Int(line["len"]!.integerValue!))
            clients[source]!.send(frame)
            sent[destination, default: []] += clients[destination]!.news()
        } else {
            guard case .datagrams(let header, let relayed)? = sent[destination]?.first else { throw RelayFrameError.malformed }
            sent[destination]!.removeFirst()
            #expect(header.id == clients[source]!.id && relayed == content)
        }
    }
    #expect(sent.values.joined().isEmpty)
    #expect(first.hub.counters.relayed == 165)
}

@Test("what can't be sent on is dropped, and the connection stays")
func dropped() {
    let hub = RelayHub()
    let (first, second) = pair(hub)
    let stranger = EndpointID(bytes: [UInt8](repeating: 7, count: 32))!
    first.send(.datagrams(RelayDatagramHeader(direction: .toRelay, id: stranger), content: [1]))
    first.send([], to: second)
    first.send([UInt8](repeating: 0, count: 65536 - 33), to: second)
    #expect(second.news().isEmpty)
    #expect(hub.counters.droppedUnknown == 1)
    #expect(hub.counters.droppedUnusable == 2)
    first.send([UInt8](repeating: 3, count: 65536 - 34), to: second)
    #expect(second.news() == [datagram([UInt8](repeating: 3, count: 65536 - 34), from: first)])
    #expect(first.closeStatus == nil)
}

@Test("frames that no client sends end its connection, and nobody else's", arguments: [
    [0] + [UInt8](repeating: 0, count: 16), [2], [4, 1, 2], [5] + [UInt8](repeating: 0, count: 34), [6] + [UInt8](repeating: 0, count: 40),
    [8] + [UInt8](repeating: 0, count: 32), [9, 1], [11, 65], [13, 0], [77], [],
] as [[UInt8]])
func hostileFrames(_ frame: [UInt8]) {
    let (first, second) = pair(RelayHub())
    second.send([1], to: first)
    _ = first.news()
    first.write(TestClient.masked(0x82, frame))
    first.take()
    #expect(first.closeStatus == 1002)
    #expect(second.news().isEmpty)
    second.send(.ping([1, 2, 3, 4, 5, 6, 7, 8]))
    #expect(second.news().contains(.pong([1, 2, 3, 4, 5, 6, 7, 8])))
}

@Test("a message longer than any frame ends the connection before it has been taken")
func oversized() {
    let (first, _) = pair(RelayHub())
    first.write([0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0])
    first.take()
    #expect(first.closeStatus == 1009)
}

@Test("text messages are ignored, WebSocket pings answered")
func otherMessages() {
    let (first, _) = pair(RelayHub())
    first.write(TestClient.masked(0x81, Array("hello".utf8)) + TestClient.masked(0x89, [1]))
    first.send(.ping([1, 2, 3, 4, 5, 6, 7, 8]))
    #expect(first.news() == [.pong([1, 2, 3, 4, 5, 6, 7, 8])])
}

@Test("those that a client had sent to hear that it is gone, and nobody else")
func gone() {
    let hub = RelayHub()
    let (first, second) = pair(hub)
    let third = TestClient(hub, seed: 3).connect()
    _ = third.news()
    first.send([1], to: second)
    third.send([1], to: first)
    _ = second.news()
    first.vanish()
    #expect(second.news() == [.endpointGone(first.id)])
    #expect(third.news().isEmpty)
    #expect((hub.clients, hub.connections) == (2, 2))
    // What is sent to it now goes nowhere, also when it was sent to before.
    third.send([2], to: first)
    #expect(hub.counters.droppedUnknown == 1)
    // Back again, it gets what is sent.
    let back = TestClient(hub, seed: 1).connect()
    third.send([3], to: back)
    #expect(back.news() == [.serverConfirmsAuth, datagram([3], from: third)])
}

@Test("of two connections with one id the newer one gets everything, until it closes", arguments: ["iroh-relay-v2", "iroh-relay-v1"])
func duplicates(_ version: String) {
    let hub = RelayHub()
    let (other, _) = pair(hub)
    let older = TestClient(hub, seed: 5).connect(["Sec-WebSocket-Protocol": version])
    _ = older.news()
    let newer = TestClient(hub, seed: 5).connect()
    let isNew = version == "iroh-relay-v2"
    let told = older.news()
    if isNew { #expect(told == [.status(.sameIDConnected)]) } else { #expect({ if case .health(let text)? = told.first { !text.isEmpty } else { false } }()) }
    other.send([1], to: older)
    #expect(older.news().isEmpty)
    #expect(newer.news() == [.serverConfirmsAuth, datagram([1], from: other)])
    older.send([2], to: other)
    #expect(other.news() == [datagram([2], from: older)])
    newer.vanish()
    #expect(older.news() == [isNew ? .status(.healthy) : .health("")])
    other.send([3], to: older)
    #expect(older.news() == [datagram([3], from: other)])
    #expect(other.news().isEmpty, "the id is not gone")
    older.vanish()
    #expect(other.news() == [.endpointGone(older.id)])
}

@Test("connections of one id beyond the newest few are closed")
func manyDuplicates() {
    let hub = RelayHub()
    let clients = (0..<20).map { _ in TestClient(hub, seed: 5).connect() }
    for client in clients { client.take() }
    #expect(clients.map { $0.closeStatus == nil } == [Bool](repeating: false, count: 3) + [Bool](repeating: true, count: 17))
}
