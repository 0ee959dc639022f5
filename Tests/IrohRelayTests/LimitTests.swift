import Crypto
import Iroh
import Platform
import Testing

@testable import IrohRelay

private let start = TestClient.start

private func pair(_ hub: RelayHub) -> (TestClient, TestClient) {
    let clients = (TestClient(hub, seed: 1).connect(), TestClient(hub, seed: 2).connect())
    _ = clients.0.news()
    _ = clients.1.news()
    return clients
}

@Test("for a client that takes nothing 512 frames wait, no more, and two seconds later it is gone")
func slowReader() {
    let hub = RelayHub()
    let (fast, slow) = pair(hub)
    slow.isTaking = false
    for _ in 0..<600 { fast.send([UInt8](repeating: 1, count: 1000), to: slow) }
    #expect(hub.counters.relayed == 512)
    #expect(hub.counters.droppedFull == 88)
    #expect(hub.queuedBytes < 600_000)
    hub.advance(now: start + .milliseconds(1900))
    #expect(!slow.isClosed)
    hub.advance(now: start + .milliseconds(2000))
    #expect(slow.isClosed)
    #expect(hub.queuedBytes == 0)
    #expect(fast.news() == [], "it had sent nothing to the other")
}

@Test("for a client that takes nothing 2 MB wait, no more")
func slowReaderBytes() {
    let hub = RelayHub()
    let (fast, slow) = pair(hub)
    slow.isTaking = false
    for _ in 0..<100 { fast.send([UInt8](repeating: 1, count: 60_000), to: slow) }
    #expect(hub.counters.relayed == 34)
    #expect(hub.queuedBytes <= 2 << 20)
    // Once it takes them, there is room again.
    slow.isTaking = true
    #expect(slow.news().count == 34)
    fast.send([2], to: slow)
    #expect(slow.news() == [datagram([2], from: fast)])
}

@Test("many clients that take nothing do not take the room of one that does")
func manySlowReaders() {
    var settings = RelaySettings()
    settings.totalQueuedBytes = 4 << 20
    let hub = RelayHub(settings)
    let (fast, reader) = pair(hub)
    for seed in UInt8(3)..<50 {
        let slow = TestClient(hub, seed: seed, from: "192.0.2.\(seed)").connect()
        slow.isTaking = false
        for _ in 0..<10 { fast.send([UInt8](repeating: 1, count: 60_000), to: slow) }
    }
    #expect(hub.counters.droppedFull > 200)
    #expect(hub.queuedBytes <= settings.totalQueuedBytes / 2 * 3)
    fast.send([UInt8](repeating: 1, count: 60_000), to: reader)
    #expect(reader.news().count == 1)
}

@Test("a client that takes a few bytes now and then is too slow, too")
func dribbling() {
    let hub = RelayHub()
    let (fast, slow) = pair(hub)
    slow.isTaking = false
    fast.send([UInt8](repeating: 1, count: 1000), to: slow)
    for second in 0..<2 {
        slow.session!.withOutput(now: start + .seconds(second)) { _ in 10 }
        hub.advance(now: start + .seconds(second))
        #expect(!slow.isClosed)
    }
    hub.advance(now: start + .seconds(2))
    #expect(slow.isClosed)
}

@Test("a client from which nothing is heard is pinged after 16 to 20 seconds, and gone without a pong")
func pings() {
    let hub = RelayHub()
    let (answering, silent) = pair(hub)
    hub.advance(now: start + .seconds(15))
    #expect(answering.news().isEmpty && silent.news().isEmpty)
    let later = start + .seconds(20)
    hub.advance(now: later)
    guard case .ping(let bytes)? = answering.news(now: later).first, case .ping? = silent.news(now: later).first else { fatalError("no pings") }
    answering.send(.pong(bytes), now: later)
    silent.send(.pong(bytes.reversed() == bytes ? [0, 0, 0, 0, 0, 0, 0, 0] : bytes.reversed()), now: later)
    hub.advance(now: later + .seconds(5))
    silent.take(now: later)
    #expect((answering.closeStatus, silent.closeStatus) == (nil, 1001))
    hub.advance(now: later + .seconds(7))
    #expect(silent.isClosed)
    #expect(hub.clients == 1)
}

@Test("a connection that has not proved its id within 30 seconds is closed", arguments: [0, 1, 2])
func unfinished(_ step: Int) {
    let hub = RelayHub()
    let client = TestClient(hub)
    if step > 0 { client.write(Array("GET /relay HTTP/1.1\r\nHost".utf8)) }
    if step > 1 { client.write(Array(": relay.test\r\n\r\n".utf8)) }
    hub.advance(now: start + .seconds(29))
    #expect(client.isClosed == (step > 1), "an answered request waits no longer for its client")
    hub.advance(now: start + .seconds(30))
    #expect(client.isClosed)
    #expect(hub.connections == 0)
}

@Test("a client sends as fast as its rate in the long run, and is told once that it is slowed down")
func clientRate() {
    var settings = RelaySettings()
    settings.clientRate = 1_000_000
    let hub = RelayHub(settings)
    let (fast, other) = pair(hub)
    var now = start
    var sent = 0
    while now < start + .seconds(10) {
        if fast.isReading {
            fast.send([UInt8](repeating: 1, count: 50_000), to: other, now: now)
            sent += 50_000
        }
        now = now + .milliseconds(10)
        hub.resume(now: now)
    }
    #expect((9_900_000...10_300_000).contains(sent))
    #expect(fast.news() == [.status(.rateLimited)])
    #expect(hub.counters.pauses > 10)
    #expect(other.isReading, "only who sends is slowed down")
    #expect(other.closeStatus == nil)
}

@Test("all clients together send as fast as the total rate")
func totalRate() {
    var settings = RelaySettings()
    settings.totalRate = 1_000_000
    let hub = RelayHub(settings)
    let (first, second) = pair(hub)
    var now = start
    var sent = [0, 0]
    while now < start + .seconds(10) {
        for (index, client) in [first, second].enumerated() where client.isReading {
            client.send([UInt8](repeating: 1, count: 20_000), to: index == 0 ? second : first, now: now)
            sent[index] += 20_000
        }
        now = now + .milliseconds(10)
        hub.resume(now: now)
    }
    #expect((9_900_000...10_300_000).contains(sent[0] + sent[1]))
    #expect(sent.allSatisfy { $0 > 4_000_000 }, "each has its part")
}

@Test("one address has its share of connections, however many it tries, and others theirs")
func connectionsPerAddress() {
    var settings = RelaySettings()
    settings.connectionsPerAddress = 3
    settings.connections = 8
    let hub = RelayHub(settings)
    let clients = (0..<5).map { TestClient(hub, from: "2001:db8::\($0)") }
    #expect(clients.map { $0.session != nil } == [true, true, true, false, false], "an IPv6 network is one address")
    #expect(TestClient(hub, from: "192.0.2.2").session != nil)
    clients[0].vanish()
    #expect(TestClient(hub, from: "2001:db8::9").session != nil)
    let own = (0..<5).map { _ in TestClient(hub, from: "127.0.0.1") }
    #expect(own.map { $0.session != nil } == [true, true, true, true, false], "this machine is exempt, up to the total")
    #expect(hub.counters.refused == 3)
}

@Test("behind a proxy the client's address counts, as the proxy that is trusted tells it")
func proxies() {
    var settings = RelaySettings()
    settings.connectionsPerAddress = 1
    settings.proxies = [AddressRange("10.0.0.1")!]
    let hub = RelayHub(settings)
    func connect(_ forwarded: String, from address: String = "10.0.0.1") -> TestClient {
        TestClient(hub, from: address).connect(["X-Forwarded-For": forwarded])
    }
    #expect(connect("198.51.100.1").news() == [.serverConfirmsAuth])
    #expect(connect("198.51.100.1").head.hasPrefix("HTTP/1.1 429 "))
    #expect(connect("198.51.100.1, 198.51.100.2").news() == [.serverConfirmsAuth], "only the last entry is the proxy's")
    #expect(connect("198.51.100.9", from: "192.0.2.1").news() == [.serverConfirmsAuth], "who is no proxy is not believed")
    #expect(TestClient(hub, from: "192.0.2.1").session == nil)
    #expect(connect("garbage").news() == [.serverConfirmsAuth])
}

@Test("at a restart clients are told to come back, and all is over when they have gone")
func restart() {
    let hub = RelayHub()
    let (first, second) = pair(hub)
    let third = TestClient(hub, seed: 3)
    hub.restart(now: start)
    guard case .restarting(let reconnectIn, let tryFor)? = first.news().first else { fatalError("not told") }
    #expect(reconnectIn <= 2000 && tryFor == 60_000)
    #expect(first.closeStatus == 1001)
    first.vanish()
    hub.advance(now: start + .seconds(2))
    #expect(second.isClosed && third.isClosed && hub.connections == 0)
}
