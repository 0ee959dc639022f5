import Crypto
import EventLoop
import Glibc
import HTTPClient
import Iroh
import IrohRelay
import Platform
import Testing

@testable import IrohRelayClient

/// A relay on loopback that can go and come back at the same place.
final class TestRelay {
    let loop: EventLoop
    let address: SocketAddress
    private(set) var server: RelayServer?

    init(on loop: EventLoop, access: RelayAccess = RelayAccess()) throws {
        self.loop = loop
        let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        address = try Sockets.localAddress(listener.number)
        let server = RelayServer(on: loop, RelayHub(RelaySettings(), access: access))
        try server.listen(listener, isSecure: false)
        self.server = server
    }

    var url: RelayURL { RelayURL("http://\(address)/")! }
}

func secret(_ seed: UInt8) -> SecretKey { SecretKey(seed: [UInt8](repeating: seed, count: 32))! }

/// Runs the loop until something is so; longer than this and the test fails.
func run(_ loop: EventLoop, patience: Duration = .seconds(30), until condition: () -> Bool) throws {
    var isLate = false
    let timer = Timer(on: loop) { isLate = true }
    timer.start(after: patience)
    while !condition() {
        try #require(!isLate, "it did not happen in time")
        loop.runOnce()
    }
}

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
