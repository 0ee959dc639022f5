import Crypto
import Platform
import Testing

@testable import QUIC

@Suite struct Migration {
    /// A relay of 30 ms and a direct path of 10 ms, either of which can be dead.
    private final class Paths {
        var isDirectDead = false
        var isRelayDead = false

        func fate(_ datagram: SimulatedNetwork.Datagram) -> [Duration] {
            if datagram.isRelayed { isRelayDead ? [] : [.milliseconds(15)] } else { isDirectDead ? [] : [.milliseconds(5)] }
        }
    }

    private let pair = Pair()
    private let paths = Paths()

    init() { pair.network.fate = paths.fate }

    /// Starts an echo and returns the stream.
    private func begin(_ bytes: [UInt8], over connection: Connection) throws -> QUIC.Stream {
        let stream = try #require(connection.openStream())
        stream.handler = pair.atClient
        stream.write(bytes)
        stream.finish()
        return stream
    }

    private func settle() { pair.network.run(for: .milliseconds(200)) }

    @Test("A connection begins through a relay, moves to a direct path and back, and its streams don't notice")
    func thereAndBack() throws {
        let connection = try pair.connect(on: pair.server.relayed)
        settle()
        #expect(pair.atServer.accepted.first?.path == pair.client.relayed)
        let bytes = pattern(3_000_000)
        let stream = try begin(bytes, over: connection)
        pair.network.run(for: .milliseconds(100))
        #expect(connection.migrate(to: pair.server.direct, validatingFirst: true, now: pair.network.now))
        pair.network.run(for: .seconds(1)) { connection.path == pair.server.direct }
        pair.network.run(for: .milliseconds(30))
        #expect(pair.atServer.accepted.first?.path == pair.client.direct)
        #expect(pair.atClient.validations.contains { $0.path == pair.server.direct && $0.success })
        #expect(connection.migrate(to: pair.server.relayed, validatingFirst: false, now: pair.network.now))
        #expect(connection.path == pair.server.relayed)
        pair.network.run { pair.atClient.finished.contains(stream.id) }
        #expect(pair.atClient.received[stream.id] == bytes)
        #expect(pair.atServer.accepted.first?.path == pair.client.relayed)
        #expect(pair.atClient.silences == 0)
    }

    @Test("A path that dies is noticed within a few round trips, and the bytes go on along the other", arguments: [true, false])
    func deadPath(directDies: Bool) throws {
        let first = directDies ? pair.server.direct : pair.server.relayed
        let second = directDies ? pair.server.relayed : pair.server.direct
        let connection = try pair.connect(on: first)
        settle()
        let bytes = pattern(3_000_000)
        let stream = try begin(bytes, over: connection)
        pair.network.run(for: .milliseconds(100))
        if directDies { paths.isDirectDead = true } else { paths.isRelayDead = true }
        let death = pair.network.now
        var noticed: Instant?
        pair.atClient.onSilence = { [pair] connection in
            if noticed == nil { noticed = pair.network.now }
            if connection.path == first { #expect(connection.migrate(to: second, validatingFirst: false, now: pair.network.now)) }
        }
        pair.network.run { pair.atClient.finished.contains(stream.id) }
        #expect(pair.atClient.received[stream.id] == bytes)
        #expect(try #require(noticed) - death < .milliseconds(1200))
        #expect(connection.path == second)
    }

    @Test("A path that does not work is found out without harm to the one in use")
    func validationFails() throws {
        let connection = try pair.connect(on: pair.server.relayed)
        settle()
        paths.isDirectDead = true
        #expect(connection.migrate(to: pair.server.direct, validatingFirst: true, now: pair.network.now))
        pair.network.run(for: .seconds(20)) { !pair.atClient.validations.isEmpty }
        #expect(pair.atClient.validations.count == 1 && pair.atClient.validations[0].success == false)
        #expect(connection.path == pair.server.relayed)
        #expect(try pair.echo(pattern(100_000), over: connection) == pattern(100_000))
        #expect(pair.atClient.silences == 0)
    }

    @Test("A relay that was away for seconds carries on at once when the client says that it is back")
    func relayReturns() throws {
        let connection = try pair.connect(on: pair.server.relayed)
        settle()
        let bytes = pattern(3_000_000)
        let stream = try begin(bytes, over: connection)
        // Now only the server has something to send, and would probe ever more rarely.
        pair.network.run { (pair.atClient.received[stream.id]?.count ?? 0) > 100_000 }
        paths.isRelayDead = true
        pair.network.run(for: .seconds(8))
        paths.isRelayDead = false
        let back = pair.network.now
        let before = pair.atClient.received[stream.id]?.count ?? 0
        #expect(before < bytes.count)
        #expect(connection.migrate(to: pair.server.relayed, validatingFirst: false, now: pair.network.now))
        pair.network.run(for: .seconds(20)) { pair.atClient.received[stream.id]?.count ?? 0 > before }
        #expect(pair.network.now - back < .milliseconds(500))
        pair.network.run { pair.atClient.finished.contains(stream.id) }
        #expect(pair.atClient.received[stream.id] == bytes)
        #expect(pair.atClient.moved == 0 && pair.atServer.moved == 0)
    }

    @Test("A server that has slept carries on at once, whichever paths its client has tried meanwhile", arguments: [1, 3, 10, 14], [true, false])
    func serverSleeps(seconds: Int, returns: Bool) throws {
        let connection = try pair.connect()
        settle()
        let bytes = pattern(2_000_000)
        let stream = try begin(bytes, over: connection)
        pair.network.run { (pair.atClient.received[stream.id]?.count ?? 0) > 100_000 }
        pair.network.sleeper = pair.server
        pair.atClient.onSilence = { [pair] connection in
            if !connection.path.isRelayed { _ = connection.migrate(to: pair.server.relayed, validatingFirst: false, now: pair.network.now) }
        }
        pair.network.run(for: .seconds(seconds))
        #expect(connection.path == pair.server.relayed)
        pair.network.sleeper = nil
        let back = pair.network.now
        let before = pair.atClient.received[stream.id]?.count ?? 0
        if returns {
            pair.network.run(for: .milliseconds(40))
            #expect(connection.migrate(to: pair.server.direct, validatingFirst: false, now: pair.network.now))
        }
        pair.network.run(for: .seconds(40)) { pair.atClient.received[stream.id]?.count ?? 0 > before + 500_000 }
        #expect(pair.network.now - back < .seconds(1))
        pair.network.run { pair.atClient.finished.contains(stream.id) }
        #expect(pair.atClient.received[stream.id] == bytes)
    }

    @Test("Who only receives notices too that the path has died", arguments: [0, 1, 2, 4, 8])
    func deadDownload(pauses: Int) throws {
        let connection = try pair.connect()
        settle()
        let stream = try begin(pattern(3_000_000), over: connection)
        pair.network.run { (pair.atClient.received[stream.id]?.count ?? 0) > 100_000 }
        if pauses > 0 {
            // Pauses after which all goes on.
            pair.network.run { pair.atClient.finished.contains(stream.id) }
            pair.network.run(for: .milliseconds(550 * pauses))
        }
        let death = pair.network.now
        paths.isDirectDead = true
        let limit = pauses == 0 ? Duration.milliseconds(1200) : .seconds(7)
        #expect(pair.network.run(for: limit) { pair.atClient.silences > 0 })
        #expect(pair.network.now - death < limit)
    }

    @Test("An idle connection whose path is dead says so at its next keep-alive")
    func idle() throws {
        let connection = try pair.connect()
        settle()
        paths.isDirectDead = true
        #expect(pair.network.run(for: .seconds(8)) { pair.atClient.silences > 0 })
        #expect(!connection.isClosed)
    }

    @Test("A server moves nowhere of its own accord")
    func server() throws {
        _ = try pair.connect()
        settle()
        let connection = try #require(pair.atServer.accepted.first)
        #expect(!connection.migrate(to: pair.client.relayed, validatingFirst: false, now: pair.network.now))
    }

    @Test("Switching as fast as ids allow breaks nothing", arguments: 1...12 as ClosedRange<UInt64>)
    func flapping(seed: UInt64) throws {
        var numbers = Numbers(seed)
        let connection = try pair.connect(on: pair.server.relayed)
        settle()
        let bytes = pattern(600_000)
        let stream = try begin(bytes, over: connection)
        var switches = 0
        for _ in 0..<150 {
            pair.network.run(for: .milliseconds(Int(numbers.next() % 40)))
            let target = numbers.next() % 2 == 0 ? pair.server.direct : pair.server.relayed
            let validatingFirst = target == pair.server.direct && numbers.next() % 2 == 0
            if connection.migrate(to: target, validatingFirst: validatingFirst, now: pair.network.now) { switches += 1 }
        }
        pair.network.run { pair.atClient.finished.contains(stream.id) }
        #expect(pair.atClient.received[stream.id] == bytes)
        #expect(switches > 30)
    }

    @Test("Late packets to an id that a client has retired are not answered with a reset, which would end the connection")
    func lateToRetiredID() throws {
        let connection = try pair.connect(on: pair.server.relayed)
        settle()
        let stream = try begin(pattern(200_000), over: connection)
        pair.network.run { pair.atClient.finished.contains(stream.id) }
        // A short packet to the id in use, to come again later.
        let late = try #require(pair.network.sent.last { $0.to == .relayed(pair.server.id) && $0.bytes[0] & 0x80 == 0 })
        #expect(connection.migrate(to: pair.server.direct, validatingFirst: false, now: pair.network.now))
        settle()
        let before = pair.network.sent.count
        pair.network.send(late)
        pair.network.run(for: .milliseconds(100))
        #expect(!pair.network.sent[(before + 1)...].contains { $0.to == .relayed(pair.client.id) })
        #expect(!connection.isClosed)
    }
}

@Suite struct FirstPackets {
    private let pair = Pair()

    init() { pair.client.endpoint.firstIDLength = HeldInitials.copiedIDLength }

    /// Every Initial of the client arrives along both paths, as iroh sends it.
    private func sendBoth(direct: Duration, relayed: Duration) {
        pair.network.fate = { [pair] datagram in
            guard datagram.from == .address(pair.client.address), datagram.bytes[0] & 0xf0 == 0xc0 else { return [.milliseconds(5)] }
            pair.network.send(.init(bytes: datagram.bytes, from: .relayed(pair.client.id), to: .relayed(pair.server.id)), after: relayed)
            return [direct]
        }
    }

    @Test("The direct copy of a client's first packet is answered when it comes a moment after the relayed one")
    func prefersDirect() throws {
        sendBoth(direct: .milliseconds(25), relayed: .milliseconds(5))
        _ = try pair.connect()
        #expect(pair.atServer.accepted.map(\.path) == [pair.client.direct])
        #expect(!pair.network.sent.contains { $0.to == .relayed(pair.client.id) })
    }

    @Test("The relayed copy is answered when no direct one comes")
    func takesRelayed() throws {
        let connection = pair.dial(on: pair.server.relayed)
        pair.network.fate = { _ in [.milliseconds(5)] }
        let begin = pair.network.now
        #expect(pair.network.run(for: .seconds(1)) { connection.isEstablished })
        #expect(pair.network.now - begin < HeldInitials.patience + .milliseconds(40))
        pair.network.run(for: .milliseconds(50))
        #expect(pair.atServer.accepted.map(\.path) == [pair.client.relayed])
    }

    @Test("Where no direct address is known, nothing is waited for")
    func expectsNone() throws {
        pair.server.endpoint.expectsCopies = false
        let connection = pair.dial(on: pair.server.relayed)
        pair.network.fate = { _ in [.milliseconds(5)] }
        let begin = pair.network.now
        #expect(pair.network.run(for: .seconds(1)) { connection.isEstablished })
        #expect(pair.network.now - begin < HeldInitials.patience)
    }

    @Test("Nothing is waited for when a client sends no copies, as ours does")
    func expectsNoneOfOurs() throws {
        pair.client.endpoint.firstIDLength = Pair().client.endpoint.firstIDLength
        let connection = pair.dial(on: pair.server.relayed)
        pair.network.fate = { _ in [.milliseconds(5)] }
        let begin = pair.network.now
        #expect(pair.network.run(for: .seconds(1)) { connection.isEstablished })
        #expect(pair.network.now - begin < HeldInitials.patience)
    }

    @Test("More first packets than are held are taken at once")
    func manyHeld() {
        for number in 0..<300 as Range<UInt64> {
            var numbers = Numbers(number + 1)
            let key = SecretKey(seed: (0..<32).map { _ in UInt8(truncatingIfNeeded: numbers.next()) })!
            let host = Host(pair.network, "192.0.2.1:\(10_000 + number)", key: key)
            host.endpoint.firstIDLength = HeldInitials.copiedIDLength
            _ = host.endpoint.connect(to: pair.serverKey.publicKey, on: pair.server.relayed, handler: pair.atClient, now: pair.network.now)
        }
        #expect(pair.network.run(for: .seconds(5)) { pair.atServer.established == 300 })
    }
}
