import Crypto
import EventLoop
import Glibc
import Iroh
import JSON
import Metrics
import Paths
import Platform
import QUIC
import RouterPorts
import Toolkit
import Tunnel

/// Where peers are, and streams to them.
final class Dialling {
    private let driver: EndpointDriver
    private let service: Service
    private let timeout: Duration
    private let log: Log
    private let printsStreams: Bool
    /// Which ways to a peer are taken of those that are known.
    var usesRelays = true, usesAddresses = true
    /// Who is asked for our address instead of the peers' relays.
    var stunServers: [HostAndPort] = []
    /// Asks the router to open our ports when that is of use; nil if that is not wanted.
    var routerPorts: RouterPorts?
    /// The relays of the peers known, those of the newest line first.
    private var relays: [RelayURL] = []
    private var asksForAddresses = false
    private var peers = KnownPeers<PeerLink>()
    private var idleTimer: Timer!
    /// The peer of the newest line: meant when a request names none.
    private var latest: PublicKey?

    /// Dials that reached nobody.
    private var failures = 0

    /// An endpoint file is a few lines; this is enough for thousands.
    private static let largestFile = 1 << 20

    init(driver: EndpointDriver, service: Service, timeout: Duration, log: Log, printsStreams: Bool) {
        self.driver = driver
        self.service = service
        self.timeout = timeout
        self.log = log
        self.printsStreams = printsStreams
        idleTimer = Timer(on: service.loop) { [unowned self] in peers.endIdle(now: .now) }
        idleTimer.letLoopEnd()
        idleTimer.start(after: KnownPeers<PeerLink>.interval, every: KnownPeers<PeerLink>.interval)
    }

    /// For the status line.
    var status: String { "\(peers.count) peers known, \(failures) dials failed" }

    func write(to metrics: inout Metrics) {
        metrics.add("peers", .gauge, "Peers of which an endpoint is known.", peers.count)
        metrics.add("dials_failed_total", .counter, "Dials that reached nobody.", failures)
    }

    func close() { peers.closeAll() }

    /// Takes the endpoint lines of a file, or of standard input up to its end.
    func readFile(_ path: String?) throws {
        guard let path else {
            try StandardInput.forEachObject { try learn($0) }
            return
        }
        var parser = ObjectParser(place: path)
        do throws(SystemError) { parser.append(try Platform.readFile(path, limit: Self.largestFile)) } catch {
            throw CommandError(.configuration, "endpoint file \(path): \(error.reason)")
        }
        while let object = try parser.next() { try learn(object) }
        if let object = try parser.finish() { try learn(object) }
    }

    /// Takes endpoint lines as they come. A bad line is told about and changes nothing.
    func readStandardInput() -> ObjectReader {
        ObjectReader(on: service.loop) { [self] event in
            switch event {
            case .object(let input):
                do { try learn(input) } catch let error as CommandError { log.error(error.message, hint: error.hint) } catch {}
            case .malformed(let error): log.error(error.message, hint: error.hint)
            case .end: log.debug("no more endpoint lines")
            }
        }
    }

    private func learn(_ input: InputObject) throws {
        let endpoint: EndpointAddress
        do throws(ObjectError) { endpoint = try EndpointAddress(json: input.object) } catch { throw CommandError(error, in: input) }
        latest = endpoint.id
        _ = learn(endpoint, isGiven: true)
    }

    /// The link to a peer; nil when there is no room for a peer that nobody but a request has told of.
    private func learn(_ endpoint: EndpointAddress, isGiven: Bool) -> PeerLink? {
        var endpoint = endpoint
        let id = endpoint.id
        if !usesRelays { endpoint.relayURLs = [] }
        if !usesAddresses { endpoint.addresses = [] }
        let newest = endpoint.relayURLs.prefix(Dialer.mostRelays)
        relays = Array((newest + relays.filter { !newest.contains($0) }).prefix(Dialer.mostRelays))
        askForAddresses(asksForAddresses)
        return peers.learn(endpoint, isGiven: isGiven, now: .now) { PeerLink(endpoint, over: driver, timeout: timeout) { [unowned self] in show($0, peer: id) } }
    }

    /// Asks the peers' relays, to which we connect anyway, where they see us, from when a stream is wanted to when there is no connection
    /// any more: only a direct path needs it, and who is idle bothers nobody.
    func askForAddresses(_ isWanted: Bool) {
        asksForAddresses = isWanted && usesAddresses
        driver.ask(!asksForAddresses ? [] : stunServers.isEmpty ? relays.map(\.stunServer) : stunServers)
    }

    /// The link of the one stream that is wanted.
    func onlyLink() throws -> PeerLink {
        guard let latest, let link = peers.link(to: latest, now: .now) else {
            throw CommandError(.badData, "no endpoint line", hint: "pkarr-resolve KEY | iroh-txt decode gives one")
        }
        return link
    }

    /// A stream for a connection that the bridge hands over.
    func open(_ request: HandoverRequest, _ socket: consuming FileDescriptor, _ responder: HandoverResponder) {
        guard let peer = request.peer ?? latest else { return responder.refuse("no endpoint is known yet") }
        guard let link = request.endpoint.map({ learn($0, isGiven: false) }) ?? peers.link(to: peer, now: .now) else {
            if request.endpoint == nil { return responder.refuse(HandoverRefusal("no endpoint of \(peer) is known", status: ExitStatus.unreachable.rawValue)) }
            return responder.refuse(HandoverRefusal("streams to \(KnownPeers<PeerLink>.mostRequested) peers are open already", status: ExitStatus.tryAgain.rawValue))
        }
        let number = socket.release()
        askForAddresses(true)
        link.openStream { [driver, service, log] result in
            switch result {
            case .failure(let error):
                Glibc.close(number)
                responder.refuse(error.refusal)
            case .success(let stream):
                if !request.data.isEmpty { stream.write(request.data) }
                do throws(SystemError) {
                    _ = try StreamPump(stream, input: number, output: number, on: service.loop) { ending, _ in
                        if ending != .finished { log.debug("stream \(stream.id) to \(peer): \(ending)") }
                    }
                    let path = stream.connection.path
                    responder.accept(path: HandoverPath(word: path.word, remote: "\(driver.target(of: path))"))
                } catch {
                    Glibc.close(number)
                    stream.refuse()
                    responder.refuse("the connection can't be used: \(error)")
                }
            }
        }
    }

    /// A stream line for each connection and change of path.
    private func show(_ event: PeerLink.Event, peer: PublicKey) {
        switch event {
        case .connected(let connection, let failures): show(connection, failures)
        case .moved(let connection): show(connection, [])
        case .failed(let error):
            failures += 1
            if printsStreams { show(error, peer: peer) }
        case .closed(let reason): log.notice("connection to \(peer) ended: \(reason)")
        }
        askForAddresses(driver.endpoint.connectionCount > 0)
    }

    private func show(_ connection: Connection, _ failures: [Dialer.Failure]) {
        guard let peer = connection.peer else { return }
        // An open port may be what the direct path lacks.
        if connection.path.isRelayed { routerPorts?.start() }
        guard printsStreams else { return log.notice("connected to \(peer) at \(driver.target(of: connection.path)), path \(connection.path.word)") }
        let roundTrip = connection.roundTrip.map { ($0.milliseconds * 1000).rounded() / 1000 }
        printLine([
            "peer": .string(peer.zBase32), "path": .string(connection.path.word),
            "remote": .string("\(driver.target(of: connection.path))"),
            "rtt_ms": roundTrip.map(JSONValue.real) ?? .null, "failed": .array(failures.map(\.json)),
        ])
    }

    private func show(_ error: PeerLink.LinkError, peer: PublicKey) {
        log.warning("\(peer): \(error)")
        let failures: [Dialer.Failure]
        if case .unreachable(let all) = error { failures = all } else { failures = [] }
        printLine([
            "peer": .string(peer.zBase32), "path": nil, "remote": nil, "rtt_ms": nil, "failed": .array(failures.map(\.json)),
            "status": .integer(Int64(error.status.rawValue)),
        ])
    }

    private func printLine(_ line: JSONValue) {
        do { try StandardOutput.write(line) } catch {
            // Nobody reads the lines any more; the streams go on.
            log.debug("stream lines have no reader")
        }
    }
}

extension Dialer.Failure {
    fileprivate var json: JSONValue {
        ["path": .string(target.pathWord), "remote": .string("\(target)"), "reason": .string(reason), "after_ms": .integer(Int64(after.milliseconds))]
    }
}

extension PeerLink.LinkError {
    fileprivate var refusal: HandoverRefusal {
        var attempts: [HandoverRefusal.Attempt] = []
        if case .unreachable(let failures) = self {
            attempts = failures.map { .init(path: $0.target.pathWord, remote: "\($0.target)", reason: $0.reason, after: $0.after) }
        }
        return HandoverRefusal("\(self)", status: status.rawValue, attempts: attempts)
    }

    fileprivate var status: ExitStatus {
        switch self {
        case .wrongPeer: .wrongPeer
        case .overloaded: .tryAgain
        // A relay that would have had us is no use for trying again: it wants a token, or the key on its list.
        case .unreachable(let failures) where failures.contains(where: \.isRefusal): .permission
        default: .unreachable
        }
    }

    func commandError(peer: PublicKey) -> CommandError {
        CommandError(
            status, status == .wrongPeer ? "\(self), not \(peer)" : "\(peer): \(self)",
            hint: status == .permission ? "give the token that the relay asks for with --relay-token URL=FILE" : nil)
    }
}
