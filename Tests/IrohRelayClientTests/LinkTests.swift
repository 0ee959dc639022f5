import Crypto
import EventLoop
import Glibc
import HTTPClient
import Iroh
import IrohRelay
import Platform
import Testing

@testable import IrohRelayClient

@Test("datagrams go from link to link, batches in pieces, also those sent before the connection")
func forwarding() throws {
    let loop = EventLoop()
    let relay = try TestRelay(on: loop)
    let http = HTTPClient(on: loop, certificates: nil)
    let second = RelayLink(relay.url, key: secret(2), token: nil, http: http, on: loop)
    var got: [[UInt8]] = []
    second.onDatagram = { bytes, id, ecn in
        #expect(id == EndpointID(secret(1).publicKey) && ecn == 2)
        got.append(Array(bytes))
    }
    try run(loop) { second.state == .connected }
    let first = RelayLink(relay.url, key: secret(1), token: nil, http: http, on: loop)
    let batch = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
    batch.withUnsafeBytes { first.send($0, segmentSize: 1200, to: EndpointID(secret(2).publicKey), ecn: 2) }
    #expect(first.state == .connecting)
    try run(loop) { first.state == .connected }
    batch.withUnsafeBytes { first.send($0, segmentSize: 1200, to: EndpointID(secret(2).publicKey), ecn: 2) }
    first.flush()
    let pieces = [Array(batch[..<1200]), Array(batch[1200..<2400]), Array(batch[2400...])]
    try run(loop) { got.count == 6 }
    #expect(got == pieces + pieces)
}

private func link(_ relay: TestRelay, seed: UInt8 = 1, token: String? = nil, certificates: String? = nil, on loop: EventLoop) -> RelayLink {
    RelayLink(relay.url, key: secret(seed), token: token, http: HTTPClient(on: loop, certificates: certificates), on: loop)
}

extension RelayLink {
    /// Sends one datagram.
    fileprivate func send(_ bytes: [UInt8], to seed: UInt8) {
        bytes.withUnsafeBytes { send($0, segmentSize: bytes.count, to: id(seed), ecn: 0) }
        flush()
    }
}

/// A file with the test relay's certificate, gone with the value.
private struct CertificateFile: ~Copyable {
    let path: String

    init() throws {
        var name = Array("/tmp/keyhole-relay-XXXXXX".utf8CString)
        let file = FileDescriptor(owning: try systemCall("mkstemp") { mkstemp(&name) })
        try writeAll(file.number, Array(TestRelay.certificate.utf8))
        path = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { unlink(path) }
}

@Test("over TLS, a relay is taken whose certificate the given file vouches for, and no other")
func secure() throws {
    let loop = EventLoop()
    let relay = try TestRelay(on: loop, isSecure: true)
    let file = try CertificateFile()
    let first = link(relay, seed: 1, certificates: file.path, on: loop)
    let second = link(relay, seed: 2, certificates: file.path, on: loop)
    let stranger = link(relay, seed: 3, on: loop)
    var got: [UInt8] = []
    second.onDatagram = { bytes, _, _ in got += bytes }
    try run(loop) { first.state == .connected && second.state == .connected && stranger.lastFailure != nil }
    guard case .unreachable(let reason)? = stranger.lastFailure else {
        Issue.record("\(stranger.state)")
        return
    }
    #expect(reason.contains("certificate"))
    // More than fits into one TLS record, one read, and the sockets' buffers.
    let content = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 * 13) }
    for round in 1...40 {
        first.send(content, to: 2)
        try run(loop) { got.count == round * content.count }
    }
    #expect(got.suffix(content.count) == content[...])
}

@Test("a relay that has gone is found again when it is back, and told of in order")
func restart() throws {
    let loop = EventLoop()
    let relay = try TestRelay(on: loop)
    let first = link(relay, on: loop)
    var states: [RelayLink.State] = []
    first.onState = { states.append($0) }
    try run(loop) { first.state == .connected }
    // The pong, after which failures count anew.
    try run(loop) { first.roundTrip != nil }
    try relay.stop()
    try run(loop) { first.state != .connected }
    #expect(first.lastFailure == .restarting)
    // It is tried meanwhile.
    try run(loop) { if case .unreachable? = first.lastFailure { true } else { false } }
    try relay.restart()
    let back = Instant.now
    try run(loop) { first.state == .connected }
    #expect(.now - back < .seconds(4))
    #expect(states.prefix(2) == [.connected, .waiting(.restarting)])
    #expect(states.last == .connected)
    #expect(states.count == 4)
}

@Test("a relay that refuses is asked again seldom, and its reason is kept")
func refused() throws {
    let loop = EventLoop()
    let relay = try TestRelay(on: loop, access: RelayAccess(parsing: Array("token right".utf8)))
    let wrong = link(relay, seed: 1, token: "wrong", on: loop)
    let right = link(relay, seed: 2, token: "right", on: loop)
    try run(loop) { if case .refused = wrong.state { right.state == .connected } else { false } }
    #expect(wrong.state == .refused(reason: "not authorized: the token is not valid"))
    #expect(wrong.lastFailure?.description == "refuses this key or token: not authorized: the token is not valid")
}

@Test("waits double with chance up to a few seconds, refusals' to some minutes, and begin anew after success")
func waits() {
    var retries = RelayRetries()
    func waits(_ failure: RelayLinkFailure, _ chance: Double) -> [Int] {
        (0..<8).map { _ in Int(retries.delay(after: failure, restart: nil, chance: chance).milliseconds) }
    }
    #expect(waits(.closed, 1) == [100, 200, 400, 800, 1600, 2000, 2000, 2000])
    retries.succeed()
    #expect(waits(.closed, 0) == [50, 100, 200, 400, 800, 1000, 1000, 1000])
    #expect(waits(.refused(""), 1).map { $0 / 1000 } == [30, 60, 120, 240, 300, 300, 300, 300])
    #expect(retries.delay(after: .restarting, restart: .milliseconds(1234), chance: 1) == .milliseconds(1234))
    retries.succeed()
    #expect(waits(.refused(""), 0).first == 15_000)
}

@Test("what is no relay says so in one line", arguments: [
    ("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n", "answered 302 to http://login.example/: a captive portal"),
    ("garbage\r\n\r\n", "answered the request wrongly (not HTTP/1): no relay"),
    ("", "closed the connection"), ("HTTP/1.1 101 Switching", "closed the connection"),
])
func noRelay(answer: String, words: String) throws {
    let loop = EventLoop()
    let parrot = try Parrot(on: loop, saying: answer)
    let link = RelayLink(
        RelayURL("http://\(parrot.address)/")!, key: secret(1), token: nil, http: HTTPClient(on: loop, certificates: nil), on: loop)
    try run(loop) { link.lastFailure != nil }
    #expect(link.lastFailure!.description.hasPrefix(words))
    #expect(link.state == .waiting(link.lastFailure!))
}

@Test("a port where nobody listens and a name that nobody has are failures with words", arguments: ["http://127.0.0.1:9/", "https://name.invalid/"])
func unreachable(url: String) throws {
    let loop = EventLoop()
    let link = RelayLink(RelayURL(url)!, key: secret(1), token: nil, http: HTTPClient(on: loop, certificates: nil), on: loop)
    #expect(link.state == .connecting)
    try run(loop) { link.lastFailure != nil }
    guard case .unreachable(let reason)? = link.lastFailure else {
        Issue.record("\(link.state)")
        return
    }
    #expect(reason.contains(url.contains("name.invalid") ? "name.invalid" : "127.0.0.1"))
}

@Test("while there is no connection the latest few datagrams wait for a moment")
func waitingDatagrams() {
    var waiting = WaitingDatagrams()
    for number in UInt8(0)..<40 {
        [number].withUnsafeBytes { waiting.add($0, segmentSize: 1, to: id(2), ecn: 0, now: start + .milliseconds(Int(number) * 100)) }
    }
    #expect(waiting.take(now: start + .seconds(5)).map { $0.bytes[0] } == Array(20..<40))
    #expect(waiting.take(now: start + .seconds(5)).isEmpty)
}

@Test("a handler may close the link that calls it", arguments: [false, true])
func closingInHandler(onState: Bool) throws {
    let loop = EventLoop()
    let relay = try TestRelay(on: loop)
    let first = link(relay, seed: 1, on: loop)
    let second = link(relay, seed: 2, on: loop)
    var calls = 0
    if onState {
        second.onState = { _ in
            calls += 1
            second.close()
        }
    } else {
        second.onDatagram = { _, _, _ in
            calls += 1
            second.close()
        }
    }
    try run(loop) { first.state == .connected && second.state == .connected }
    if !onState {
        let batch = [UInt8](repeating: 1, count: 5000)
        batch.withUnsafeBytes { first.send($0, segmentSize: 1000, to: id(2), ecn: 0) }
        first.flush()
    }
    try run(loop) { relay.server?.hub.clients == 1 }
    #expect(calls == 1)
}

@Test("a relay that takes nothing makes the link drop, not grow, and the loop goes on")
func backPressure() throws {
    let loop = EventLoop()
    let relay = try TestRelay(on: loop)
    let first = link(relay, seed: 1, on: loop)
    try run(loop) { first.state == .connected }
    // The relay is on the same loop: while this goes on it reads nothing.
    let batch = [UInt8](repeating: 1, count: 30_000)
    for _ in 0..<2000 {
        batch.withUnsafeBytes { first.send($0, segmentSize: 1200, to: id(2), ecn: 0) }
        first.flush()
    }
    #expect(first.droppedBytes > 0)
    try run(loop) { relay.server!.hub.counters.droppedUnknown > 10 }
    #expect(first.state == .connected)
}
