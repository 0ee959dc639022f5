import Crypto
import Platform
import Testing

@testable import QUIC

@Suite struct Handshakes {
    @Test("Both sides learn each other's key and the application protocol")
    func keys() throws {
        let pair = Pair()
        let connection = try pair.connect()
        #expect(connection.peer == pair.serverKey.publicKey)
        #expect(pair.atServer.accepted.first?.peer == pair.client.endpoint.publicKey)
        #expect(connection.alpn == "test")
        #expect(try pair.echo(pattern(100_000), over: connection) == pattern(100_000))
    }

    @Test("A peer with another key is refused before it gets a byte, and hears why")
    func wrongKey() {
        let pair = Pair()
        let connection = pair.dial(SecretKey(seed: [UInt8](repeating: 9, count: 32))!.publicKey)
        pair.network.run(for: .seconds(20))
        #expect(connection.closeReason == .wrongPeer)
        #expect(pair.atServer.accepted.isEmpty)
        #expect(pair.server.endpoint.connectionCount == 0)
        // The server gave up when it was told, not by its time-out.
        #expect(pair.server.endpoint.handshakes == 0)
    }

    @Test("No common application protocol ends the handshake")
    func otherALPN() {
        let pair = Pair()
        let other = Host(pair.network, "192.0.2.3:3000", key: .generate(), Configuration(alpn: ["other"]))
        let connection = other.endpoint.connect(
            to: pair.serverKey.publicKey, on: pair.server.direct, handler: pair.atClient, now: pair.network.now)
        pair.network.run(for: .seconds(20))
        guard case .transport(code: 0x178, _, byPeer: true) = connection.closeReason else {
            Issue.record("closed for \(String(describing: connection.closeReason))")
            return
        }
    }

    @Test("Loss, copies and other orders change nothing about the bytes", arguments: 1...5 as ClosedRange<UInt64>)
    func hostileNetwork(seed: UInt64) throws {
        let pair = Pair()
        var numbers = Numbers(seed)
        pair.network.fate = { _ in
            let chance = numbers.next() % 100
            if chance < 10 { return [] }
            let delay = Duration.milliseconds(10 + Int(numbers.next() % 15))
            return chance < 20 ? [delay, delay + .milliseconds(3)] : [delay]
        }
        let connection = pair.dial()
        try #require(pair.network.run(for: .seconds(20)) { connection.isEstablished })
        #expect(try pair.echo(pattern(300_000), over: connection) == pattern(300_000))
        #expect(pair.atServer.accepted.count == 1)
    }

    @Test("Nobody there is found out by the handshake's time-out")
    func silence() {
        let pair = Pair()
        pair.network.fate = { _ in [] }
        let connection = pair.dial()
        pair.network.run(for: .seconds(11))
        #expect(connection.closeReason == .handshakeTimeout)
    }

    @Test("An Initial that comes from a second address too is neither a second connection nor a migration")
    func copiesOfInitial() throws {
        let pair = Pair()
        let second = SocketAddress("198.51.100.9:9")!
        var isFirst = true
        pair.network.fate = { datagram in
            if datagram.from == .address(pair.client.address), isFirst {
                isFirst = false
                pair.network.send(.init(bytes: datagram.bytes, from: second, to: datagram.to))
            }
            return [.milliseconds(datagram.from == .address(second) ? 12 : 10)]
        }
        let connection = try pair.connect()
        #expect(try pair.echo([1, 2, 3], over: connection) == [1, 2, 3])
        #expect(pair.server.endpoint.connectionCount == 1)
        #expect(pair.atServer.accepted.first?.path == pair.client.direct)
        #expect(!pair.network.sent.contains { $0.to == .address(second) })
    }

    @Test("Under load a client proves its address by Retry first")
    func retry() throws {
        var configuration = Configuration(alpn: ["test"])
        configuration.retryThreshold = 0
        let pair = Pair(.echo, configuration)
        let connection = try pair.connect()
        let firstAnswer = try #require(pair.network.sent.first { $0.from == .address(pair.server.address) })
        // Long header, type Retry (RFC 9000, section 17.2.5).
        #expect(firstAnswer.bytes[0] & 0xf0 == 0xf0)
        #expect(try pair.echo([1], over: connection) == [1])
    }

    @Test("A packet of an unknown version is answered with the versions spoken, a short one not at all")
    func versions() {
        let pair = Pair()
        let stranger = SocketAddress("198.51.100.9:9")!
        let packet: [UInt8] = [0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8] + pattern(8) + [8] + pattern(8)
        pair.network.send(.init(bytes: packet + [UInt8](repeating: 0, count: 1200 - packet.count), from: stranger, to: pair.server.direct.remote))
        pair.network.send(.init(bytes: packet + [0, 0, 0], from: stranger, to: pair.server.direct.remote))
        pair.network.run(for: .seconds(1))
        let answers = pair.network.sent.filter { $0.to == .address(stranger) }
        #expect(answers.count == 1)
        #expect(answers.first.map { Array($0.bytes[1..<5]) } == [0, 0, 0, 0])
        #expect(answers.first?.bytes.suffix(4) == [0, 0, 0, 1])
    }
}

@Suite struct Endings {
    @Test("A clean close is heard with its code and reason")
    func close() throws {
        let pair = Pair()
        let connection = try pair.connect()
        connection.close(code: 7, reason: "enough", now: pair.network.now)
        pair.network.run(for: .seconds(1))
        #expect(pair.atServer.endings == [.application(code: 7, reason: "enough", byPeer: true)])
        #expect(pair.client.endpoint.connectionCount == 0)
        #expect(pair.server.endpoint.connectionCount == 0)
    }

    @Test("Late copies of a closed connection's packets open no other")
    func latePackets() throws {
        let pair = Pair()
        let connection = try pair.connect()
        _ = try pair.echo(pattern(1000), over: connection)
        connection.close(code: 0, now: pair.network.now)
        pair.network.run(for: .milliseconds(50))
        for datagram in pair.network.sent where datagram.from == .address(pair.client.address) { pair.network.send(datagram) }
        pair.network.run(for: .milliseconds(100))
        #expect(pair.server.endpoint.connectionCount == 0)
        #expect(pair.atServer.accepted.count == 1)
    }

    @Test("A quiet connection is kept alive, and one whose peer has gone ends after the idle time-out")
    func idle() throws {
        let pair = Pair()
        let connection = try pair.connect()
        let idle = pair.client.endpoint.configuration.idleTimeout
        pair.network.run(for: idle * 2)
        #expect(!connection.isClosed)
        pair.network.fate = { _ in [] }
        pair.network.run(for: idle - .seconds(10))
        #expect(!connection.isClosed)
        pair.network.run(for: .seconds(40))
        #expect(connection.closeReason == .idle)
        #expect(pair.atServer.endings == [.idle])
    }

    @Test("A server that has forgotten the connection says so, and its client ends it at once")
    func statelessReset() throws {
        let pair = Pair()
        let connection = try pair.connect()
        pair.network.run(for: .seconds(1))
        let restarted = Recorder(.echo)
        pair.server.endpoint = Endpoint(key: pair.serverKey, configuration: Configuration(alpn: ["test"]))
        pair.server.endpoint.acceptor = restarted
        let stream = try #require(connection.openStream())
        stream.handler = pair.atClient
        stream.write(pattern(1000))
        pair.network.run(for: .seconds(1))
        #expect(connection.closeReason == .reset)
        #expect(pair.atClient.lostStreams == 1)
        #expect(try pair.echo([5], over: { let again = pair.dial(); pair.network.run { again.isEstablished }; return again }()) == [5])
    }

    @Test("A made-up reset does nothing")
    func forgedReset() throws {
        let pair = Pair()
        let connection = try pair.connect()
        pair.network.run(for: .seconds(1))
        pair.network.send(.init(bytes: [0x40] + pattern(42), from: pair.server.address, to: pair.client.direct.remote))
        pair.network.run(for: .seconds(1))
        #expect(!connection.isClosed)
        #expect(try pair.echo([5], over: connection) == [5])
    }

    @Test("A handler that hears the last news of a connection may close it")
    func closingWhileEnding() throws {
        let pair = Pair()
        let connection = try pair.connect()
        pair.network.run(for: .seconds(1))
        pair.atServer.onReadable = { $0.connection.close(code: 1, now: pair.network.now) }
        let before = pair.network.sent.count
        pair.network.fate = { _ in [] }
        try #require(connection.openStream()).write([1])
        _ = pair.client.endpoint.flush(to: pair.client, now: pair.network.now)
        connection.close(code: 2, now: pair.network.now)
        _ = pair.client.endpoint.flush(to: pair.client, now: pair.network.now)
        // The data and the close in one batch.
        for datagram in pair.network.sent[before...] { pair.server.receive(datagram, now: pair.network.now) }
        pair.network.run(for: .seconds(1))
        #expect(pair.atServer.opened.count == 1)
        #expect(pair.atServer.endings == [.application(code: 2, reason: "", byPeer: true)])
        #expect(pair.server.endpoint.connectionCount == 0)
    }
}

@Suite struct Paths {
    @Test("A client whose address changes goes on, and the server follows")
    func rebinding() throws {
        let pair = Pair()
        let connection = try pair.connect()
        pair.network.run(for: .seconds(1))
        for port in 1001...1012 as ClosedRange<UInt16> {
            pair.client.address = SocketAddress("192.0.2.1:\(port)")!
            #expect(try pair.echo(pattern(5000), over: connection) == pattern(5000))
            pair.network.run(for: .seconds(2))
            #expect(pair.atServer.accepted.first?.path.address?.port == port)
        }
        #expect(pair.atServer.moved >= 12)
        #expect(!connection.isClosed)
    }

    @Test("A path that comes back under another id has another name; names are never used again")
    func names() {
        var last: UInt64 = 10
        func fresh() -> UInt64 {
            last += 1
            return last
        }
        func path(_ port: Int) -> NetworkPath { NetworkPath(transport: 0, remote: SocketAddress("192.0.2.1:\(port)")!) }
        let one = ConnectionID(bytes: [1]), two = ConnectionID(bytes: [2])
        var names = PathNames(path(1), destination: one, name: 10)
        func name(_ port: Int, _ destination: ConnectionID) -> UInt64 { names.name(for: path(port), destination: destination, isEstablished: true, fresh: fresh) }
        #expect(name(1, one) == 10)
        #expect(name(1, two) == 10, "the peer changes ids on the path in use as it likes")
        #expect(name(2, one) == 11)
        #expect(name(2, one) == 11)
        #expect(name(2, two) == 12)
        let isMoved = names.setCurrent(12)
        let isMovedAgain = names.setCurrent(12)
        #expect(isMoved && !isMovedAgain)
        #expect(names.currentPath == path(2))
        var seen: Set<UInt64> = [10, 11, 12]
        for port in 3...100 {
            let isNew = seen.insert(name(port, one)).inserted
            #expect(isNew)
        }
        #expect(names.currentName == 12, "the path in use is not forgotten")
        #expect(names.path(named: 10) == nil)
    }

    @Test("After a move every other path is new, also one that comes back under its old id")
    func generations() {
        var last: UInt64 = 10
        func path(_ port: Int) -> NetworkPath { NetworkPath(transport: 0, remote: SocketAddress("192.0.2.1:\(port)")!) }
        let id = ConnectionID(bytes: [1])
        var names = PathNames(path(1), destination: id, name: 10)
        func name(_ port: Int) -> UInt64 {
            names.name(for: path(port), destination: id, isEstablished: true) {
                last += 1
                return last
            }
        }
        func move(_ name: UInt64) -> Bool { names.setCurrent(name) }
        #expect(name(2) == 11 && name(3) == 12)
        #expect(move(11))
        #expect(name(2) == 11)
        #expect(name(3) == 13 && name(1) == 14)
        #expect(name(3) == 13 && name(1) == 14, "in one generation a path keeps its name")
        #expect(names.path(named: 10) == path(1) && names.path(named: 12) == path(3), "the library may still send there")
        #expect(move(10), "it may go back to the path before by itself")
        #expect(name(1) == 10 && name(2) == 15)
        #expect(!move(99), "also to one that is long forgotten: then packets go where the peer was last")
        #expect(names.currentName == 99 && names.currentPath == path(1) && name(1) == 99)
    }
}

@Suite struct FlowControl {
    @Test("A reader that does not read stops its sender, and both hold a bounded amount")
    func stalledReader() throws {
        let pair = Pair(.nothing)
        let connection = try pair.connect()
        let stream = try #require(connection.openStream())
        stream.handler = pair.atClient
        var written = 0
        for _ in 0..<200 {
            while stream.writableCount > 0 {
                stream.write { space in
                    space.initializeMemory(as: UInt8.self, repeating: 7)
                    written += space.count
                    return space.count
                }
            }
            pair.network.run(for: .milliseconds(100))
        }
        let configuration = pair.server.endpoint.configuration
        let receiver = try #require(pair.atServer.opened.first)
        #expect(receiver.readableCount == Int(configuration.streamWindow))
        #expect(stream.writableCount == 0)
        #expect(written < Int(configuration.streamWindow) + 16 << 20)

        // Other streams go on meanwhile, and this one when its reader reads.
        pair.atServer.reading = .collect
        let other = try #require(connection.openStream())
        other.write([1, 2, 3])
        pair.network.run(for: .seconds(1))
        #expect(pair.atServer.received[other.id] == [1, 2, 3])
        pair.atServer.streamReadable(receiver)
        stream.finish()
        #expect(pair.network.run { pair.atServer.finished.contains(stream.id) })
        #expect(pair.atServer.received[stream.id]?.count == written)
    }

    @Test("A peer is allowed new streams as old ones end, thousands of them")
    func thousandsOfStreams() throws {
        let pair = Pair()
        let connection = try pair.connect()
        pair.network.run(for: .seconds(1))
        var done = 0
        while done < 3000 {
            var round: [QUIC.Stream] = []
            while let stream = connection.openStream() {
                stream.handler = pair.atClient
                stream.write([1])
                stream.finish()
                round.append(stream)
            }
            try #require(round.count <= 256)
            try #require(pair.network.run { round.allSatisfy { pair.atClient.finished.contains($0.id) } })
            try #require(pair.network.run(for: .seconds(5)) { connection.openStream().map { $0.reset(code: 0) } != nil })
            done += round.count
        }
        pair.network.run(for: .seconds(1))
        #expect(connection.streams.count <= 256)
        #expect(pair.atServer.accepted.first.map { $0.streams.count <= 256 } == true)
    }
}
