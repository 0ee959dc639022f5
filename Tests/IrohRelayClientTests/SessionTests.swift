import Crypto
import Iroh
import IrohRelay
import Platform
import Testing

@testable import IrohRelayClient

private func pair(_ hub: RelayHub) -> (Wire, Wire) {
    (Wire(hub, seed: 1).connect(), Wire(hub, seed: 2).connect())
}

extension Wire {
    /// Sends datagrams to another client.
    func send(_ bytes: [UInt8], segmentSize: Int, to seed: UInt8, ecn: UInt8 = 0, now: Instant = start) {
        bytes.withUnsafeBytes { client.send($0, segmentSize: segmentSize, to: id(seed), ecn: ecn, now: now) }
    }
}

@Test("a session asks, proves its key, is taken, and pings at once", arguments: [Int.max, 1, 7])
func handshake(step: Int) {
    let wire = Wire(RelayHub())
    wire.step = step
    wire.exchange()
    #expect(wire.news() == [.connected(.v2), .roundTrip(.zero)])
    #expect(wire.client.isConnected)
    #expect(wire.failure == nil)
}

@Test("the request is the one that iroh's relays know, with the token if there is one")
func request() {
    let lines = String(decoding: Wire(nil, token: "s3cret").sent(), as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
    #expect(lines.first == "GET /relay HTTP/1.1")
    #expect(lines.suffix(2) == ["", ""])
    for line in ["Host: relay.test", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Protocol: iroh-relay-v2, iroh-relay-v1", "Authorization: Bearer s3cret"] {
        #expect(lines.contains { $0 == line }, "\(line)")
    }
    #expect(!String(decoding: Wire(nil).sent(), as: UTF8.self).contains("Authorization"))
}

@Test("a relay that does not take the key or the token says why")
func refusal() throws {
    for (list, token) in [("deny \(secret(1).publicKey)", nil), ("token right", "wrong"), ("token right", nil)] {
        let wire = Wire(RelayHub(RelaySettings(), access: try RelayAccess(parsing: Array(list.utf8))), token: token)
        wire.exchange()
        guard case .refused(let reason) = wire.failure else {
            Issue.record("not refused but \(String(describing: wire.failure))")
            continue
        }
        #expect(reason.hasPrefix("not authorized"))
    }
    let wire = Wire(RelayHub(RelaySettings(), access: try RelayAccess(parsing: Array("token right".utf8))), token: "right")
    wire.exchange()
    #expect(wire.client.isConnected)
}

@Test("datagrams arrive as they were sent, one or several, in pieces of any size", arguments: [Int.max, 1, 1000])
func datagrams(step: Int) {
    let (first, second) = pair(RelayHub())
    (first.step, second.step) = (step, step)
    let content = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    for (segmentSize, named) in [(5000, nil), (1200, 1200), (4999, 4999)] as [(Int, UInt16?)] {
        first.send(content, segmentSize: segmentSize, to: 2, ecn: 2)
        first.exchange()
        second.exchange()
        #expect(second.news() == [.datagrams(RelayDatagramHeader(direction: .toClient, id: id(1), ecn: 2, segmentSize: named), content)])
    }
}

@Test("a long batch takes as few frames as it may, cut between datagrams")
func longBatch() {
    let (first, second) = pair(RelayHub())
    let content = (0..<1200 * 60 + 5).map { UInt8(truncatingIfNeeded: $0 / 3) }
    first.send(content, segmentSize: 1200, to: 2)
    first.exchange()
    second.exchange()
    var got: [UInt8] = []
    let news = second.news()
    for case .datagrams(let header, let bytes) in news {
        #expect(header.segmentSize == 1200)
        #expect(bytes.count % 1200 == 0 || got.count + bytes.count == content.count)
        got += bytes
    }
    #expect(got == content)
    #expect(news.count == 2)
}

@Test("what is too long for any frame, or nothing at all, is not sent")
func unusable() {
    let (first, second) = pair(RelayHub())
    first.send([UInt8](repeating: 1, count: 65536 - 33), segmentSize: 65536, to: 2)
    first.send([], segmentSize: 1200, to: 2)
    first.send([1], segmentSize: 0, to: 2)
    #expect(!first.client.hasOutput)
    first.send([UInt8](repeating: 1, count: 65536 - 34), segmentSize: 65536, to: 2)
    first.exchange()
    second.exchange()
    #expect(second.news().count == 1)
    #expect(first.failure == nil)
}

@Test("a full queue drops what comes then, keeps what it has, and takes more once there is room")
func overflow() {
    let hub = RelayHub()
    let first = Wire(hub, seed: 1, queuedBytes: 10_000).connect()
    let second = Wire(hub, seed: 2).connect()
    for round in UInt8(0)..<3 {
        for number in UInt8(0)..<20 { first.send([UInt8](repeating: round * 20 + number, count: 1000), segmentSize: 1000, to: 2) }
        #expect(first.client.queuedBytes <= 10_000)
        first.exchange()
        second.exchange()
        let got = second.news().compactMap { event -> UInt8? in if case .datagrams(_, let bytes) = event { bytes[0] } else { nil } }
        #expect(got == (0..<9).map { round * 20 + $0 })
    }
    #expect(first.client.droppedBytes == 33_000)
}

@Test("pings are answered behind a full queue, but no more of them than there is room for")
func pongs() {
    let wire = Wire(RelayHub(), queuedBytes: 10_000).connect()
    for _ in 0..<20 { wire.send([UInt8](repeating: 1, count: 1000), segmentSize: 1000, to: 2) }
    let before = wire.client.queuedBytes
    let ping = [0x82, 9] + RelayFrame.ping([1, 2, 3, 4, 5, 6, 7, 8]).encoded
    wire.receive(ping)
    #expect(wire.client.queuedBytes > before)
    for _ in 0..<2000 { wire.receive(ping) }
    #expect(wire.client.queuedBytes <= 10_000 + 4096)
    #expect(wire.failure == nil)
}

@Test("after 15 s of silence a ping goes out, and a relay that stays silent is dead after three round trips")
func silence() throws {
    let wire = Wire(RelayHub()).connect()
    #expect(wire.client.deadline == start + .seconds(15))
    try wire.client.advance(now: start + .milliseconds(14_999))
    #expect(!wire.client.hasOutput)
    try wire.client.advance(now: start + .seconds(15))
    wire.exchange(now: start + .milliseconds(15_400))
    #expect(wire.client.roundTrip == .milliseconds(400))
    #expect(wire.client.deadline == start + .milliseconds(30_400))
    wire.isOpen = false
    try wire.client.advance(now: start + .milliseconds(30_400))
    wire.exchange(now: start + .milliseconds(30_400))
    #expect(wire.client.deadline == start + .milliseconds(31_600))
    try wire.client.advance(now: start + .milliseconds(31_599))
    #expect(throws: RelayLinkFailure.silent("no pong within 1200 ms")) { try wire.client.advance(now: start + .milliseconds(31_600)) }
}

@Test("a short round trip is no reason for haste")
func shortRoundTrip() throws {
    let wire = Wire(RelayHub()).connect()
    wire.isOpen = false
    try wire.client.advance(now: start + .seconds(15))
    #expect(wire.client.deadline == start + .milliseconds(15_500))
}

@Test("what is sent and not answered is looked after sooner")
func unanswered() throws {
    let wire = Wire(RelayHub()).connect()
    wire.send([1], segmentSize: 1, to: 2, now: start + .seconds(3))
    wire.send([1], segmentSize: 1, to: 2, now: start + .seconds(4))
    #expect(wire.client.deadline == start + .seconds(5))
    wire.receive(frame(.endpointGone(id(3))), now: start + .milliseconds(4500))
    #expect(wire.client.deadline == start + .milliseconds(19_500))
    wire.send([1], segmentSize: 1, to: 2, now: start + .seconds(6))
    try wire.client.advance(now: start + .seconds(8))
    #expect(wire.client.deadline == start + .milliseconds(8500))
    wire.exchange(now: start + .milliseconds(8100))
    #expect(wire.client.deadline == start + .milliseconds(23_100))
}

@Test("a relay that never answers the first ping is dead after 5 s, one that lets something else be heard is not")
func firstPing() throws {
    let wire = Wire(nil)
    wire.receive(accepted(wire))
    wire.receive(frame(.serverChallenge([UInt8](repeating: 7, count: 16))) + frame(.serverConfirmsAuth))
    #expect(wire.news() == [.connected(.v2)])
    #expect(wire.client.deadline == start + .seconds(5))
    wire.receive(frame(.endpointGone(id(3))), now: start + .seconds(4))
    #expect(wire.client.deadline == start + .seconds(9))
    #expect(throws: RelayLinkFailure.silent("no pong within 5000 ms")) { try wire.client.advance(now: start + .seconds(9)) }
}

@Test("a handshake that takes too long is given up")
func slowHandshake() throws {
    let wire = Wire(nil)
    #expect(wire.client.deadline == start + .seconds(10))
    try wire.client.advance(now: start + .milliseconds(9999))
    #expect(throws: RelayLinkFailure.silent("no connection within 10 s")) { try wire.client.advance(now: start + .seconds(10)) }
}

@Test("what the relay tells is told on")
func news() {
    let hub = RelayHub()
    let (first, second) = pair(hub)
    first.send([1], segmentSize: 1, to: 2)
    first.exchange()
    let newer = Wire(hub, seed: 1).connect()
    first.exchange()
    #expect(first.news() == [.superseded(true)])
    newer.vanish()
    first.exchange()
    #expect(first.news() == [.superseded(false)])
    second.exchange()
    _ = second.news()
    second.send([2], segmentSize: 1, to: 1)
    second.exchange()
    first.vanish()
    second.exchange()
    #expect(second.news() == [.endpointGone(id(1))])
    hub.restart(now: start)
    second.exchange()
    guard case .restarting(let reconnectIn)? = second.news().first else {
        Issue.record("no word of the restart")
        return
    }
    #expect(reconnectIn >= .zero && reconnectIn <= .seconds(2))
    #expect(second.failure == .closed)
}

@Test("version 1 tells its health in words, version 2 does not")
func health() {
    let old = Wire(nil)
    old.receive(accepted(old, version: .v1))
    old.receive(frame(.serverChallenge([UInt8](repeating: 7, count: 16))) + frame(.serverConfirmsAuth))
    old.receive(frame(.health("somebody else")) + frame(.health("")))
    #expect(old.news() == [.connected(.v1), .superseded(true), .superseded(false)])
    old.receive(frame(.status(.healthy)))
    #expect(old.failure != nil)
    let new = Wire(RelayHub()).connect()
    new.receive(frame(.status(.other(77))) + frame(.status(.rateLimited)))
    #expect(new.news() == [.rateLimited])
    new.receive(frame(.health("somebody else")))
    #expect(new.failure != nil)
}

@Test("closing says good-bye, and nothing is heard afterwards")
func closing() {
    let hub = RelayHub()
    let (first, second) = pair(hub)
    second.send([1], segmentSize: 1, to: 1)
    second.exchange()
    first.client.close()
    first.send([1], segmentSize: 1, to: 2)
    first.exchange()
    #expect(hub.clients == 1)
    #expect(first.news().count <= 1)
}
