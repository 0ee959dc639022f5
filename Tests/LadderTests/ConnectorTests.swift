import Crypto
import EventLoop
import Glibc
import JSON
import Pkarr
import Platform
import RawKeyServer
import TestSupport
import Testing
import TLS
import Tunnel

@testable import Ladder

private typealias Outcome = Result<UpstreamConnection, LadderError>

extension Outcome {
    fileprivate var error: LadderError? { if case .failure(let error) = self { error } else { nil } }
    fileprivate var connection: UpstreamConnection? { if case .success(let connection) = self { connection } else { nil } }
}

/// A connector with all its surroundings on one loop: whoever answers questions, a dialler, servers.
private final class World {
    let loop = EventLoop()
    let path = "/tmp/keyhole-ladder-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    private(set) var connector: Connector!
    var questions: [JSONValue] = []
    var failed: [UpstreamAttempt] = []
    private var dialler: HandoverClient?
    /// What the dialler was asked for, with the far ends of the streams.
    var streams: [(request: HandoverRequest, socket: DescriptorOwner, responder: HandoverResponder)] = []
    private var listeners: [DescriptorOwner] = []

    init(_ change: (inout Connector.Settings) -> Void = { _ in }) throws {
        var settings = Connector.Settings()
        settings.allowsLocal = true
        change(&settings)
        connector = try Connector(on: loop, socketPath: path, settings: settings, want: { [unowned self] in questions.append($0) }) { [unowned self] in
            if case .failed(_, let attempt) = $0 { failed.append(attempt) }
        }
    }

    deinit { connector.close() }

    func dial() {
        dialler = HandoverClient(on: loop, path: path, service: .streams {
            [unowned self] (request: HandoverRequest, socket: consuming FileDescriptor, responder: HandoverResponder) in
            streams.append((request, DescriptorOwner(socket), responder))
        }) { _ in }
    }

    func tell(_ packet: SignedPacket) throws { try connector.take(packet.json) }

    /// A listening socket, and its port.
    func listen() throws -> (Int32, UInt16) {
        listeners.append(DescriptorOwner(try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)))
        return (listeners.last!.number, try Sockets.localAddress(listeners.last!.number).port)
    }

    /// A port where nobody listens, and nobody will while the test runs: it is taken.
    func deadPort() throws -> UInt16 {
        let taken = try Sockets.udp(bind: SocketAddress("127.0.0.1:0")!)
        let port = try Sockets.localAddress(taken.number).port
        listeners.append(DescriptorOwner(taken))
        return port
    }

    /// The next connection to a listener.
    func accept(_ listener: Int32) throws -> DescriptorOwner {
        var accepted: DescriptorOwner?
        loop.run(until: {
            if let socket = try? Sockets.accept(listener) { accepted = DescriptorOwner(socket) }
            return accepted != nil
        })
        return try #require(accepted)
    }

    private final class Box { var outcome: Outcome? }

    /// Starts to connect; the outcome, once there is one.
    func connect(_ host: KeyedHost = KeyedHost(key(1)), _ service: UpstreamService = .plain) -> () -> Outcome? {
        let box = Box()
        connector.connect(to: host, service: service) {
            #expect(box.outcome == nil)
            box.outcome = $0
        }
        return { box.outcome }
    }

    func asked(_ count: Int) { loop.run(until: { questions.count == count }) }
}

private func line(_ number: UInt8, fresh: Bool = false) -> JSONValue {
    fresh ? ["public_key": .string(key(number).zBase32), "fresh": true] : ["public_key": .string(key(number).zBase32)]
}

private func seed(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }

private func place(_ port: UInt16) -> String { https(params: #"{"port":\#(port),"ipv4hint":["127.0.0.1"]}"#) }

private let tunnelPlace = endpoint("addr=127.0.0.1:9")

@Suite struct ConnectorTests {
    private func socket(of connection: UpstreamConnection?) throws -> DescriptorOwner {
        guard let socket = connection?.takeSocket() else { throw LadderError(.unreachable, "there is no socket") }
        return DescriptorOwner(socket)
    }

    /// Runs both ends until the server has the request, answers, and the client has the answer and its end.
    private func exchange(_ world: World, _ connection: UpstreamConnection, _ server: RawKeyServer) throws {
        let socket = try socket(of: connection)
        #expect(throws: LadderError.self) { try self.socket(of: connection) }
        let question = String(repeating: "question", count: 100)
        try writeAll(socket.number, Array(question.utf8))
        world.loop.run(until: { server.hasInput })
        #expect(server.exchange("answer") == question)
        var answer: [UInt8] = []
        var isOver = false
        let number = socket.number
        world.loop.run(until: {
            var buffer = [UInt8](repeating: 0, count: 100)
            let count = recv(number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { answer += buffer.prefix(count) }
            isOver = count == 0
            return isOver
        })
        #expect(String(decoding: answer, as: UTF8.self) == "answer")
    }

    @Test func aHomeserverIsReachedByItsKeyAtItsAddress() throws {
        let world = try World()
        let (listener, port) = try world.listen()
        let outcome = world.connect()
        world.asked(1)
        #expect(world.questions == [line(1)])
        try world.tell(packet(1, place(port)))
        let accepted = try world.accept(listener)
        let server = RawKeyServer(seed: seed(1), key: key(1).bytes, socket: accepted.number)
        world.loop.run(until: {
            _ = server.handshake()
            return outcome() != nil
        })
        let connection = try #require(outcome()?.connection)
        #expect(server.name == key(1).zBase32)
        #expect(connection.path == .pubkyTLS && connection.remote == "127.0.0.1:\(port)" && connection.homeserver == key(1))
        #expect(connection.authority == nil && connection.attempts.isEmpty)
        try exchange(world, connection, server)
    }

    @Test func whoHasAnotherKeyEndsItAndNothingElseIsTried() throws {
        let world = try World()
        world.dial()
        let (listener, port) = try world.listen()
        let outcome = world.connect()
        world.asked(1)
        try world.tell(packet(1, place(port) + "," + tunnelPlace))
        let accepted = try world.accept(listener)
        let server = RawKeyServer(seed: seed(2), key: key(2).bytes, socket: accepted.number)
        world.loop.run(until: {
            _ = server.handshake()
            return outcome() != nil
        })
        let error = try #require(outcome()?.error)
        #expect(error.status == .wrongPeer && error.message == "pubky-tls 127.0.0.1:\(port): the server has another key")
        #expect(world.questions.count == 1)
    }

    @Test func aDeadAddressLeadsOnToTheTunnelWhichIsToldWhereThePeerIs() throws {
        let world = try World()
        world.dial()
        let port = try world.deadPort()
        let outcome = world.connect()
        world.asked(1)
        try world.tell(packet(1, place(port) + "," + tunnelPlace))
        world.loop.run(until: { world.streams.count == 1 })
        let stream = world.streams[0]
        #expect(stream.request.peer == key(1))
        #expect(stream.request.endpoint?.addresses == [SocketAddress("127.0.0.1:9")!])
        stream.responder.accept(path: HandoverPath(word: "relay", remote: "https://relay.example/"))
        world.loop.run(until: { outcome() != nil })
        let first = try #require(outcome()?.connection)
        #expect(first.path == .relay && first.remote == "https://relay.example/")
        #expect(first.attempts.map(\.description) == ["pubky-tls 127.0.0.1:\(port): Connection refused"])
        #expect(world.failed == first.attempts)

        // What worked comes first the next time, and the packet is known.
        let again = world.connect()
        world.loop.run(until: { world.streams.count == 2 })
        world.streams[1].responder.accept(path: HandoverPath(word: "direct"))
        world.loop.run(until: { again() != nil })
        #expect(again()?.connection?.attempts == [])
        #expect(world.questions.count == 1)
    }

    @Test func whatADiallerSaysOfAnImpostorCounts() throws {
        let world = try World()
        world.dial()
        let outcome = world.connect()
        world.asked(1)
        try world.tell(packet(1, tunnelPlace))
        world.loop.run(until: { world.streams.count == 1 })
        world.streams[0].responder.refuse(HandoverRefusal("127.0.0.1:9 proved to be somebody else", status: 76))
        world.loop.run(until: { outcome() != nil })
        #expect(outcome()?.error?.status == .wrongPeer)
        #expect(world.questions.count == 1)
    }

    @Test func pubkyTLSInsideTheTunnelIsCheckedToo() throws {
        for number in [1, 2] as [UInt8] {
            let world = try World()
            world.dial()
            let outcome = world.connect(KeyedHost(key(1)), .tls)
            world.asked(1)
            try world.tell(packet(1, tunnelPlace))
            world.loop.run(until: { world.streams.count == 1 })
            world.streams[0].responder.accept(path: HandoverPath(word: "direct", remote: "127.0.0.1:9"))
            let server = RawKeyServer(seed: seed(number), key: key(number).bytes, socket: world.streams[0].socket.number)
            world.loop.run(until: {
                _ = server.handshake()
                return outcome() != nil
            })
            if number == 1 {
                try exchange(world, try #require(outcome()?.connection), server)
            } else {
                #expect(outcome()?.error?.status == .wrongPeer)
            }
        }
    }

    @Test func aDomainIsReachedByItsCertificate() throws {
        let world = try World { $0.authorities = Array(localhostCertificate.utf8) }
        let (listener, port) = try world.listen()
        let outcome = world.connect()
        world.asked(1)
        try world.tell(packet(1, https(target: "localhost", params: #"{"port":\#(port)}"#)))
        let accepted = try world.accept(listener)
        let server = try TLSSession(TLSCredentials(chain: Array(localhostCertificate.utf8), key: Array(localhostKey.utf8)), socket: accepted.number)
        world.loop.run(until: {
            if !server.isEstablished { _ = try? server.handshake() }
            return outcome() != nil
        })
        let connection = try #require(outcome()?.connection)
        #expect(connection.path == .icann && connection.authority == "localhost:\(port)")
    }

    @Test func anotherDomainsCertificateEndsItAndRequiringTheKeyNeverComesThere() throws {
        for requiresKey in [false, true] {
            let world = try World {
                $0.authorities = Array(certificate.utf8)
                $0.requiresKey = requiresKey
            }
            world.dial()
            let (listener, port) = try world.listen()
            let outcome = world.connect()
            world.asked(1)
            try world.tell(packet(1, https(target: "localhost", params: #"{"port":\#(port)}"#) + "," + tunnelPlace))
            if requiresKey {
                world.loop.run(until: { world.streams.count == 1 })
                world.streams[0].responder.accept(path: HandoverPath(word: "direct"))
                world.loop.run(until: { outcome() != nil })
                #expect(outcome()?.connection?.path == .direct)
                continue
            }
            let accepted = try world.accept(listener)
            let server = try TLSSession(TLSCredentials(chain: Array(certificate.utf8), key: Array(certificateKey.utf8)), socket: accepted.number)
            world.loop.run(until: {
                if !server.isEstablished { _ = try? server.handshake() }
                return outcome() != nil
            })
            #expect(outcome()?.error?.status == .wrongPeer)
        }
    }

    @Test func bytesThatStayAsTheyAreGoToTheKeysAddress() throws {
        let world = try World()
        let (listener, port) = try world.listen()
        let outcome = world.connect(KeyedHost(key(1)), .raw)
        world.asked(1)
        try world.tell(packet(1, place(port) + "," + https(target: "localhost", params: #"{"port":1}"#)))
        world.loop.run(until: { outcome() != nil })
        let socket = try socket(of: outcome()?.connection)
        try writeAll(socket.number, Array("client hello".utf8))
        let accepted = try world.accept(listener)
        #expect(try readBytes(accepted.number, count: 100) == Array("client hello".utf8))
    }

    @Test func afterAllHasFailedThePacketIsAskedForAgainAndWhatIsNewThereTried() throws {
        let world = try World()
        let (dead, (listener, port)) = (try world.deadPort(), try world.listen())
        let outcome = world.connect(KeyedHost(key(1)), .raw)
        world.asked(1)
        try world.tell(packet(1, place(dead)))
        world.asked(2)
        #expect(world.questions == [line(1), line(1, fresh: true)])
        try world.tell(packet(1, place(dead) + "," + place(port), timestamp: 2))
        world.loop.run(until: { outcome() != nil })
        #expect(outcome()?.connection?.attempts.map(\.remote) == ["127.0.0.1:\(dead)"])
        _ = listener
    }

    @Test func ifNothingIsNewItIsUnreachableAndEveryAttemptIsTold() throws {
        let world = try World()
        let dead = try world.deadPort()
        let outcome = world.connect()
        world.asked(1)
        try world.tell(packet(1, place(dead)))
        world.asked(2)
        try world.tell(packet(1, place(dead), timestamp: 2))
        world.loop.run(until: { outcome() != nil })
        let error = try #require(outcome()?.error)
        #expect(error.status == .unreachable)
        #expect(error.message == "no way reached \(key(1)) (pubky-tls 127.0.0.1:\(dead): Connection refused)")
        #expect(error.attempts.count == 1)
    }

    @Test func aStockPacketIsNotDialledAndToldOf() throws {
        let world = try World { $0.allowsLocal = false }
        let outcome = world.connect()
        world.asked(1)
        try world.tell(packet(1, place(6287) + "," + https(priority: 10, target: "localhost")))
        world.loop.run(until: { outcome() != nil })
        let error = try #require(outcome()?.error)
        #expect(error.status == .unreachable && error.message.contains("--allow-local"))
        #expect(error.attempts.map(\.remote) == ["127.0.0.1:6287", "localhost"])
    }

    @Test func aUserWhoNamesNoHomeserverAndAKeyWithoutAPacketAreNotFound() throws {
        let world = try World()
        let user = world.connect(KeyedHost(key(1), isUser: true)), nobody = world.connect(KeyedHost(key(2)))
        world.asked(2)
        try world.tell(packet(1, address("203.0.114.1")))
        try world.connector.take(JSONObject(members: [("public_key", .string(key(2).zBase32)), ("status", 68), ("error", "nobody has a packet of this key")]))
        world.loop.run(until: { user() != nil && nobody() != nil })
        #expect(user()?.error == LadderError(.keyNotFound, "_pubky.\(key(1)) names no homeserver"))
        #expect(nobody()?.error == LadderError(.keyNotFound, "nobody has a packet of this key"))
        // The next to ask are told the same at once; what names no homeserver may have come to name one.
        let again = world.connect(KeyedHost(key(2))), userAgain = world.connect(KeyedHost(key(1), isUser: true))
        world.asked(3)
        #expect(world.questions.last == line(1, fresh: true))
        try world.tell(packet(1, address("203.0.114.1"), timestamp: 2))
        world.loop.run(until: { again() != nil && userAgain() != nil })
        #expect(again()?.error == nobody()?.error && userAgain()?.error == user()?.error)
    }

    @Test func aUsersNameLeadsToTheHomeserversKey() throws {
        let world = try World()
        let (listener, port) = try world.listen()
        let outcome = world.connect(KeyedHost(key(1), isUser: true), .raw)
        world.asked(1)
        try world.tell(packet(1, https("_pubky", priority: 0, target: "\(key(2))")))
        world.asked(2)
        #expect(world.questions == [line(1), line(2)])
        try world.tell(packet(2, place(port)))
        world.loop.run(until: { outcome() != nil })
        #expect(outcome()?.connection?.homeserver == key(2))
        _ = listener
    }

    @Test func everythingEndsInItsTime() throws {
        // Nobody answers the question; nobody answers at the address.
        let world = try World { $0.timeout = .milliseconds(400) }
        let lost = world.connect(KeyedHost(key(2)))
        let silent = world.connect(KeyedHost(key(1)))
        let (listener, port) = try world.listen()
        world.asked(2)
        try world.tell(packet(1, place(port)))
        world.loop.run(until: { lost() != nil && silent() != nil })
        #expect(lost()?.error?.status == .unreachable && lost()?.error?.message == "nobody has said where \(key(2)) is")
        #expect(silent()?.error?.attempts.map(\.reason) == ["no answer"])
        _ = listener
    }

    @Test func withoutAResolverTheDiallerMayKnow() throws {
        let world = try World()
        world.dial()
        world.connector.resolverHasGone()
        let outcome = world.connect(), user = world.connect(KeyedHost(key(3), isUser: true))
        world.loop.run(until: { world.streams.count == 1 && user() != nil })
        #expect(world.streams[0].request.peer == key(1) && world.streams[0].request.endpoint == nil)
        world.streams[0].responder.accept(path: HandoverPath(word: "direct"))
        world.loop.run(until: { outcome() != nil })
        #expect(outcome()?.connection != nil && user()?.error?.status == .unreachable)
        #expect(world.questions.isEmpty)
    }

    @Test func whatIsNotWantedAnyMoreSaysNothing() throws {
        let world = try World()
        let (listener, port) = try world.listen()
        let request = world.connector.connect(to: KeyedHost(key(1)), service: .plain) { _ in Issue.record("it was cancelled") }
        world.asked(1)
        try world.tell(packet(1, place(port)))
        let accepted = try world.accept(listener)
        request.cancel()
        request.cancel()
        // The connection is given up.
        world.loop.run(until: {
            var buffer = [UInt8](repeating: 0, count: 4096)
            return recv(accepted.number, &buffer, buffer.count, Int32(MSG_DONTWAIT)) == 0
        })
    }
}
