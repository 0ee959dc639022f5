import EventLoop
import Glibc
import HTTP1
import Ladder
import Platform
import Tunnel

/// An HTTP/1.1 proxy that leads to homeservers by their keys: `http://KEY/`, `http://_pubky.KEY/`, `https://KEY/` and CONNECT.
///
/// Any number of clients, one event loop. An idle connection costs no buffer, one that is at work a block in each direction.
public final class HTTPProxy {
    /// What happened, for the log.
    public enum Event {
        /// A request was not passed on: the reason that its client was told.
        case refused(String)
        /// There is no connection to a homeserver or another host.
        case unreachable(name: String, LadderError)
        /// A request or its answer came to nothing.
        case failed(String)
        case acceptFailed(SystemError)
    }

    /// What has happened so far.
    public struct Counters: Sendable {
        public var connections = 0
        public var requests = 0
        public var refused = 0
        public var failed = 0
        /// Requests that were sent again because a connection that was used before had ended.
        public var repeated = 0
    }

    /// How long things may take.
    struct Times {
        /// From the first byte of a request's head to its last.
        var head: Duration = .seconds(30)
        /// Between two requests.
        var idle: Duration = .seconds(90)
        /// Without any byte of a request taken or of its answer come.
        var answer: Duration
        /// Without any byte of an answer's body having moved.
        var body: Duration = .seconds(300)
        /// Without any byte of a tunnel or a WebSocket.
        var raw: Duration = .seconds(3600)
        /// For a client to read what was said last.
        var closing: Duration = .seconds(5)
        /// Between two looks at the time.
        var look: Duration = .seconds(1)
    }

    /// Of clients that have ended and wait for a connection.
    private static let mostEnded = 64

    private let loop: EventLoop
    private let upstream: any Upstream
    private let settings: ProxySettings
    private let onEvent: (Event) -> Void
    private let blocks = BlockPool()
    private let pool = UpstreamPool()
    private var policy: ProxyPolicy
    private var acceptor: Acceptor?
    private var timer: Timer?
    private var connections: [ObjectIdentifier: ClientConnection] = [:]
    /// Clients that have ended while a connection is made for them, oldest first, and some that did so earlier.
    private var ended: [ObjectIdentifier] = []
    let times: Times

    /// Where it really listens.
    public let address: SocketAddress
    public private(set) var counters = Counters()

    /// Clients that are connected now.
    public var connectionCount: Int { connections.count }
    /// Connections to homeservers that wait for another request.
    public var idleUpstreamCount: Int { pool.count }

    /// - Parameters:
    ///   - listener: A listening TCP socket, of a loopback address: whoever can connect can use the proxy.
    ///   - upstream: Makes the connections to homeservers.
    /// - Throws: ``SystemError`` when the socket can't be watched.
    public convenience init(
        on loop: EventLoop, listener: consuming FileDescriptor, upstream: any Upstream, settings: ProxySettings = ProxySettings(),
        onEvent: @escaping (Event) -> Void = { _ in }
    ) throws(SystemError) {
        try self.init(on: loop, listener: listener, upstream: upstream, settings: settings, times: Times(answer: settings.answerTime), onEvent: onEvent)
    }

    init(
        on loop: EventLoop, listener: consuming FileDescriptor, upstream: any Upstream, settings: ProxySettings, times: Times,
        onEvent: @escaping (Event) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.upstream = upstream
        self.settings = settings
        self.times = times
        self.onEvent = onEvent
        address = try Sockets.localAddress(listener.number)
        policy = ProxyPolicy(settings, at: address)
        timer = Timer(on: loop) { [unowned self] in look() }
        acceptor = try Acceptor(
            on: loop, listener, onError: { onEvent(.acceptFailed($0)) },
            onConnection: { [unowned self] (connection: consuming FileDescriptor) in add(connection) })
    }

    /// Stops listening and ends all connections.
    public func close() {
        acceptor = nil
        for connection in connections.values { connection.close(abruptly: true) }
        pool.close()
        timer?.stop()
    }

    private func add(_ connection: consuming FileDescriptor) {
        if connections.count >= settings.mostConnections {
            // Whoever opens connections and asks for nothing must not keep others out.
            guard let oldest = connections.values.lazy.filter(\.isWaiting).min(by: { $0.deadline < $1.deadline }) else {
                return onEvent(.failed("a connection was turned away: there are \(settings.mostConnections)"))
            }
            oldest.close()
        }
        do throws(SystemError) {
            // One that has gone already is found out about when it is read.
            try? Sockets.setNodelay(connection.number)
            let client = ClientConnection(try Wire(connection, blocks: blocks, on: loop), proxy: self)
            counters.connections += 1
            if connections.isEmpty { timer?.start(after: times.look, every: times.look) }
            connections[ObjectIdentifier(client)] = client
        } catch { onEvent(.acceptFailed(error)) }
    }

    private func look() {
        let now = Instant.now
        for connection in Array(connections.values) { connection.tick(now) }
        pool.expire(now: now)
        if connections.isEmpty && pool.count == 0 { timer?.stop() }
    }
}

// What connections need.
extension HTTPProxy {
    enum Note {
        case refused(ProxyPolicy.Refusal)
        case repeated
        case failed(String)
    }

    func note(_ note: Note) {
        switch note {
        case .refused(let refusal):
            counters.refused += 1
            onEvent(.refused("\(refusal)"))
        case .repeated: counters.repeated += 1
        case .failed(let what):
            counters.failed += 1
            onEvent(.failed(what))
        }
    }

    func decide(_ head: RequestHead, inner: KeyedHost?) -> ProxyPolicy.Decision {
        counters.requests += 1
        return policy.decide(head, inner: inner)
    }

    /// A client has ended while a connection is made for it. It may have said all that it had to say and wait for the answer, or have gone:
    /// a page that asks for keys and breaks off again and again must not have all the connections that can be looked for at once.
    func noteEnd(of connection: ClientConnection) {
        ended.append(ObjectIdentifier(connection))
        if ended.count > Self.mostEnded, let oldest = connections[ended.removeFirst()], oldest.hasEndedEarly { oldest.close() }
    }

    func remove(_ connection: ClientConnection) { connections[ObjectIdentifier(connection)] = nil }

    func idleLink(for request: ForwardedRequest) -> UpstreamLink? {
        pool.take(to: request.destination, isRepeatable: request.isRepeatable, now: .now)
    }

    func keep(_ link: UpstreamLink) { pool.give(link, now: .now) }

    /// Makes a connection; the completion is not called from inside this.
    func connect(to destination: Destination, _ completion: @escaping (Result<UpstreamLink, LadderError>) -> Void) -> any UpstreamRequest {
        switch destination {
        case .homeserver(let host, let service):
            return upstream.connect(to: host, service: service) { [unowned self] result in
                switch result {
                case .failure(let error): fail(host.name, error, completion)
                case .success(let connection):
                    guard let socket = connection.takeSocket() else { return }
                    do throws(SystemError) {
                        completion(.success(UpstreamLink(try Wire(socket, blocks: blocks, on: loop), connection, for: host, service)))
                    } catch { fail(host.name, LadderError(.tryAgain, "the connection can't be used: \(error.reason)"), completion) }
                }
            }
        case .other(let host):
            let request = OtherRequest()
            Timer.once(on: loop, after: .zero) { [weak self] in self?.connect(request, to: host, completion) }
            return request
        }
    }

    private func connect(_ request: OtherRequest, to host: HostAndPort, _ completion: @escaping (Result<UpstreamLink, LadderError>) -> Void) {
        guard !request.isCancelled else { return }
        TargetConnection.connect(to: host, onlyTo: OrdinaryHost.isPermitted, on: loop) { [weak self] (result: consuming Result<FileDescriptor, SystemError>) in
            guard let self, !request.isCancelled else { return }
            switch consume result {
            case .failure(let error):
                let reason = error.code == EACCES ? "its address is none of the Internet" : error.reason
                fail("\(host)", LadderError(.unreachable, reason), completion)
            case .success(let socket):
                do throws(SystemError) {
                    completion(.success(UpstreamLink(try Wire(socket, blocks: blocks, on: loop), to: host)))
                } catch { fail("\(host)", LadderError(.tryAgain, "the connection can't be used: \(error.reason)"), completion) }
            }
        }
    }

    private func fail(_ name: String, _ error: LadderError, _ completion: (Result<UpstreamLink, LadderError>) -> Void) {
        counters.failed += 1
        onEvent(.unreachable(name: name, error))
        completion(.failure(error))
    }

    func answer(_ page: ProxyPage) -> Answer {
        switch page {
        case .autoConfiguration:
            Answer(status: 200, mediaType: AutoConfiguration.mediaType, text: AutoConfiguration.text(proxy: "\(address)"))
        case .status:
            // No keys: whoever looks over a shoulder need not know where this machine talks to.
            Answer(status: 200, text: """
                keyhole proxy at \(address)
                clients: \(connectionCount), idle connections to servers: \(idleUpstreamCount)
                requests: \(counters.requests), refused: \(counters.refused), failed: \(counters.failed), repeated: \(counters.repeated)
                for a browser: http://\(address)/proxy.pac

                """)
        }
    }
}

/// A connection to a host that is no key, while it is wanted.
private final class OtherRequest: UpstreamRequest {
    private(set) var isCancelled = false
    func cancel() { isCancelled = true }
}
