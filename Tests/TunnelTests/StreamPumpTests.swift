import Crypto
import EventLoop
import Iroh
import Glibc
import Paths
import Platform
import QUIC
import Testing

@testable import Tunnel

/// Two ends of a tunnel on loopback, each stream with a socket pair at either end.
private final class Ends: ConnectionAcceptor, ConnectionHandler {
    let loop = EventLoop()
    private let client: EndpointDriver
    private let server: EndpointDriver
    private(set) var connection: Connection?
    private(set) var endings: [StreamPump.Ending] = []
    /// What the server's pump may carry and has carried.
    var allowance: Int64?
    private(set) var carriedByServer: Int64 = 0
    /// Our ends of the socket pairs of the last stream: what the client's and the server's application hold.
    private(set) var atClient: Int32 = -1
    private(set) var atServer: Int32 = -1

    init() throws {
        let key = SecretKey.generate()
        server = EndpointDriver(key: key, configuration: Configuration(alpn: ["test"]), on: loop)
        client = EndpointDriver(key: .generate(), configuration: Configuration(alpn: ["test"]), on: loop)
        try server.bind(SocketAddress("127.0.0.1:0")!)
        try client.bind(SocketAddress("127.0.0.1:0")!)
        server.endpoint.acceptor = self
        _ = Dialer(EndpointAddress(id: key.publicKey, addresses: server.localAddresses), over: client, timeout: .seconds(30)) { [self] outcome in
            if case .connected(let connection, _) = outcome { self.connection = connection }
        }
        loop.run(until: { connection != nil })
    }

    func openStream() throws {
        let (ours, pumped) = try Sockets.pair()
        atClient = ours
        try Sockets.setNonblocking(ours)
        let stream = try #require(connection?.openStream())
        _ = try StreamPump(stream, input: pumped, output: pumped, on: loop) { [self] ending, _ in endings.append(ending) }
        loop.run(until: { atServer >= 0 })
    }

    deinit {
        close(atClient)
        close(atServer)
    }

    func accepted(_ connection: Connection) { connection.handler = self }
    func connectionEstablished(_ connection: Connection) {}

    func connection(_ connection: Connection, opened stream: QUIC.Stream) {
        guard let (ours, pumped) = try? Sockets.pair() else { return }
        atServer = ours
        try? Sockets.setNonblocking(ours)
        _ = try? StreamPump(stream, input: pumped, output: pumped, allowance: allowance, on: loop) { [self] ending, carried in
            carriedByServer = carried
            endings.append(ending)
        }
    }

    func connectionAllowsStreams(_ connection: Connection) {}
    func connectionMoved(_ connection: Connection) {}
    func connectionClosed(_ connection: Connection, reason: CloseReason) {}
}

/// What can be read now; nil at the end.
private func readNow(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(descriptor, &buffer, buffer.count)
    return count == 0 ? nil : Array(buffer.prefix(max(0, count)))
}

@Suite struct StreamPumps {
    @Test("The side that is dialled may speak first")
    func firstWord() throws {
        let ends = try Ends()
        try ends.openStream()
        try writeAll(ends.atServer, Array("welcome".utf8))
        var heard: [UInt8] = []
        ends.loop.run(until: { heard += readNow(ends.atClient) ?? []; return heard.count == 7 })
        #expect(heard == Array("welcome".utf8))
    }

    @Test("Each direction ends on its own, and the stream when both have")
    func halfClose() throws {
        let ends = try Ends()
        try ends.openStream()
        let client = ends.atClient, server = ends.atServer
        try writeAll(client, [1, 2, 3])
        shutdown(client, Int32(SHUT_WR))
        var question: [UInt8] = []
        var isOver = false
        ends.loop.run(until: {
            if let more = readNow(server) { question += more } else { isOver = true }
            return isOver
        })
        #expect(question == [1, 2, 3])
        #expect(ends.endings.isEmpty)
        try writeAll(server, [4, 5])
        shutdown(server, Int32(SHUT_WR))
        var answer: [UInt8] = []
        isOver = false
        ends.loop.run(until: {
            if let more = readNow(client) { answer += more } else { isOver = true }
            return isOver && ends.endings.count == 2
        })
        #expect(answer == [4, 5])
        #expect(ends.endings == [.finished, .finished])
    }

    @Test("A stream that has carried as much as it may is broken off, and both sides know how much that was")
    func allowance() throws {
        let ends = try Ends()
        ends.allowance = 100_000
        try ends.openStream()
        let client = ends.atClient
        let bytes = [UInt8](repeating: 7, count: 4096)
        ends.loop.run(until: {
            _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            _ = readNow(ends.atServer)
            return ends.endings.count == 2
        })
        #expect(ends.endings.contains(.exhausted))
        #expect(ends.endings.contains(.brokenByPeer(code: StreamPump.Code.refused)))
        #expect((100_001...200_000).contains(ends.carriedByServer))
    }

    @Test("A connection that ends breaks the local ends off")
    func lost() throws {
        let ends = try Ends()
        try ends.openStream()
        ends.connection!.close(code: 3, now: .now)
        ends.loop.run(until: { ends.endings.count == 2 })
        #expect(ends.endings.contains(.lost(.application(code: 3, reason: "", byPeer: false))))
        #expect(ends.endings.contains(.lost(.application(code: 3, reason: "", byPeer: true))))
    }
}
