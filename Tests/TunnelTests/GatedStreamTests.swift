import EventLoop
import Glibc
import HTTPGate
import Platform
import Testing

@testable import Tunnel

private let start = Instant(nanoseconds: 1_000_000_000_000)

@Suite struct Patience {
    @Test("A head has a time from its beginning, whatever comes meanwhile; the next head has its own")
    func head() {
        var patience = StreamPatience(now: start)
        for second in 1..<20 {
            patience.hasProgressed = true
            patience.wait(.head(0), now: start + .seconds(second))
            let isOver = patience.isOver(now: start + .seconds(second))
            #expect(!isOver)
        }
        let isOver = patience.isOver(now: start + .seconds(20))
        #expect(isOver)
        patience.wait(.head(1), now: start + .seconds(20))
        let isNextOver = patience.isOver(now: start + .seconds(39))
        #expect(!isNextOver)
    }

    @Test("A body has a time between its pieces")
    func body() {
        var patience = StreamPatience(now: start)
        patience.wait(.body, now: start)
        patience.hasProgressed = true
        let isOver = [59, 118].map { patience.isOver(now: start + .seconds($0)) }
        #expect(isOver == [false, false])
        let isOverThen = patience.isOver(now: start + .seconds(119))
        #expect(isOverThen)
    }

    @Test("Who waits for the server waits for ever")
    func server() {
        var patience = StreamPatience(now: start)
        patience.wait(.nothing, now: start)
        let isOver = patience.isOver(now: start + .seconds(1_000_000))
        #expect(!isOver)
    }
}

/// Streams through a bridge to a server that is a socket of the test, and what the test has of both.
private final class Laboratory {
    let loop = EventLoop()
    let streams: GatedStreams
    let listener: FileDescriptor
    private var sockets: [Int32] = []
    private var accepted = 0

    init(descriptors: Int = 1024, keepable: Int = 1 << 20) throws {
        listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        streams = GatedStreams(on: loop, descriptors: descriptors, keepable: keepable)
    }

    deinit { for socket in sockets { close(socket) } }

    @discardableResult
    func open() throws -> Int32 {
        let target = HostAndPort("\(try Sockets.localAddress(listener.number))")!
        try streams.add(
            to: .init(http: .success(target)), ClientFields(key: nil, address: nil),
            hand: { (socket: consuming FileDescriptor, _: @escaping () -> Void) in sockets.append(socket.release()) },
            connect: { [loop] target, completion in
                TargetConnection.connect(to: target, on: loop) { (result: consuming Result<FileDescriptor, SystemError>) in
                    switch consume result {
                    case .success(let socket): completion(.success(DescriptorOwner(socket)))
                    case .failure(let error): completion(.failure(error))
                    }
                }
            },
            onDenied: { _ in })
        let client = sockets.last!
        try Sockets.setNonblocking(client)
        return client
    }

    func send(_ client: Int32, _ text: String) throws { try writeAll(client, Array(text.utf8)) }

    /// What the client gets until the bridge ends.
    func receive(_ client: Int32) -> String {
        var text: [UInt8] = []
        loop.run(until: {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(client, &buffer, buffer.count)
            if count > 0 { text += buffer[..<count] }
            return count == 0
        })
        return String(decoding: text, as: UTF8.self)
    }

    /// Whether a connection has come to the server, where it stays open.
    var isServerAsked: Bool { requests > 0 }

    /// How many have.
    var requests: Int {
        if let connection = try? Sockets.accept(listener.number) {
            sockets.append(connection.release())
            accepted += 1
        }
        return accepted
    }
}

@Suite struct GatedStreamsTests {
    @Test("A head that comes too slowly is answered with 408, and the server never hears of it", arguments: ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"])
    func slowHead(text: String) throws {
        let laboratory = try Laboratory()
        let client = try laboratory.open()
        try laboratory.send(client, text)
        let begin = Instant.now
        for _ in 0..<10 { laboratory.loop.runOnce(waiting: false) }
        laboratory.streams.check(now: begin + .seconds(19))
        #expect(laboratory.streams.count == 1)
        laboratory.streams.check(now: .now + .seconds(20))
        #expect(laboratory.receive(client).hasPrefix("HTTP/1.1 408 "))
        #expect(!laboratory.isServerAsked)
        // The client that stays all the same is not waited for.
        laboratory.streams.check(now: .now + .seconds(5))
        #expect(laboratory.streams.count == 0)
    }

    @Test("A body that does not come is answered with 408")
    func slowBody() throws {
        let laboratory = try Laboratory()
        let client = try laboratory.open()
        try laboratory.send(client, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
        laboratory.loop.run(until: { laboratory.isServerAsked })
        for _ in 0..<10 { laboratory.loop.runOnce(waiting: false) }
        // It has just sent something.
        laboratory.streams.check(now: .now)
        laboratory.streams.check(now: .now + .seconds(59))
        #expect(laboratory.streams.count == 1)
        laboratory.streams.check(now: .now + .seconds(61))
        #expect(laboratory.receive(client).hasPrefix("HTTP/1.1 408 "))
    }

    @Test("When there is no room, who has waited longest goes")
    func room() throws {
        // For ten streams.
        let laboratory = try Laboratory(descriptors: 64 + 20)
        let clients = try (0..<10).map { _ in try laboratory.open() }
        // The oldest is at work.
        try laboratory.send(clients[0], "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        laboratory.loop.run(until: { laboratory.isServerAsked })
        try laboratory.open()
        #expect(laboratory.streams.count == 10)
        #expect(laboratory.receive(clients[1]) == "")
        var byte: UInt8 = 0
        for client in [clients[0], clients[2]] { #expect(read(client, &byte, 1) < 0) }
    }

    @Test("When too much is kept in memory, those go for which it is")
    func memory() throws {
        let laboratory = try Laboratory(keepable: 50_000)
        let quiet = try laboratory.open()
        let loud = try laboratory.open()
        try laboratory.send(quiet, "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 10_000))")
        try laboratory.send(loud, "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 30_000))")
        for _ in 0..<10 { laboratory.loop.runOnce(waiting: false) }
        laboratory.streams.check(now: .now)
        #expect(laboratory.streams.count == 2)
        try laboratory.send(loud, String(repeating: "x", count: 30_000))
        for _ in 0..<10 { laboratory.loop.runOnce(waiting: false) }
        laboratory.streams.check(now: .now)
        #expect(laboratory.streams.count == 1)
        #expect(laboratory.receive(loud) == "")
    }

    @Test("When all are at work, there is no room, unless some have been silent for long")
    func noRoom() throws {
        let laboratory = try Laboratory(descriptors: 64 + 4)
        let clients = try (0..<2).map { _ in try laboratory.open() }
        for client in clients { try laboratory.send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        laboratory.loop.run(until: { laboratory.requests == 2 })
        #expect(throws: SystemError(call: "socketpair", code: EMFILE)) { try laboratory.open() }
        let now = Instant.now
        laboratory.streams.check(now: now)
        try laboratory.send(clients[0], "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in 0..<10 { laboratory.loop.runOnce(waiting: false) }
        laboratory.streams.check(now: now + .seconds(10))
        try laboratory.open()
        #expect(laboratory.receive(clients[1]) == "")
        var byte: UInt8 = 0
        #expect(read(clients[0], &byte, 1) < 0)
    }
}
