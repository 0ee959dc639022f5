import CQUIC
import Glibc
import HostileClient
import Testing

@testable import QUIC

@Suite struct HostileClients {
    /// A slice of what `make hostile` sends.
    private static let packets = getenv("HOSTILE_PACKETS").flatMap { Int(String(cString: $0)) } ?? 12_000
    private static let seeds: ClosedRange<UInt64> = 1...4

    @Test("No client that has proved its key takes the listener down, whatever it sends from wherever", arguments: seeds)
    func outlived(seed: UInt64) throws {
        var choices = SeededChoices(seed: seed)
        let network = HostileNetwork()
        var left = Self.packets / Self.seeds.count
        var sessions: UInt64 = 0
        while left > 0 {
            sessions += 1
            let client = try #require(HostileClient(to: network, choosing: choices, number: sessions))
            while left > client.sent, client.sent < 3000, !client.isOver { client.step() }
            left -= client.sent
            choices = client.choices
        }
        #expect(network.serves())
        #expect(network.settle())
        for (what, times) in network.givenUp.sorted(by: { $0.key < $1.key }) { print("seed \(seed): \(times) times \(what)") }
    }

    @Test("When the QUIC library gives up, only that connection ends, and its peer is told to start anew")
    func givesUp() throws {
        let pair = Pair()
        let bystander = Host(pair.network, "192.0.2.3:3000", key: pair.serverKey)
        let connection = try pair.connect()
        let atServer = try #require(pair.atServer.accepted.first)
        let other = bystander.endpoint.connect(to: pair.serverKey.publicKey, on: pair.server.direct, handler: pair.atClient, now: pair.network.now)
        pair.network.run(for: .seconds(1)) { other.isEstablished }
        // What it asserts: a server does not move.
        #expect(keyhole_quic_migrate(atServer.handle, 99, false, pair.network.now.nanoseconds) == keyhole_quic_broken)
        let stream = try #require(connection.openStream())
        stream.handler = pair.atClient
        stream.write([1])
        pair.network.run(for: .seconds(1)) { connection.isClosed }
        #expect(pair.atServer.endings == [.transport(code: 1, reason: "the QUIC library gave up: !conn->server", byPeer: false)])
        #expect(pair.atClient.endings == [.reset])
        #expect(try pair.echo([2, 3], over: other) == [2, 3])
        #expect(try pair.connect().isEstablished)
    }
}
