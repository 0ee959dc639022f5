import Crypto
import EventLoop
import Glibc
import Ladder
import Platform
import Testing

@testable import HTTPProxy

let key = PublicKey(zBase32: "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo")!

/// Long enough for a loaded machine; a test that waits this long has failed.
private let patience: Duration = .seconds(60)

extension EventLoop {
    /// Runs until the condition holds.
    func run(until condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) {
        var isOver = false
        let watchdog = Timer(on: self) { isOver = true }
        watchdog.start(after: patience)
        while !condition(), !isOver { runOnce() }
        #expect(condition(), sourceLocation: sourceLocation)
    }
}

/// One end of a connection, spoken by hand.
final class End {
    private let socket: FileDescriptor
    private let loop: EventLoop

    init(_ socket: consuming FileDescriptor, on loop: EventLoop) throws {
        try Sockets.setNonblocking(socket.number)
        self.socket = socket
        self.loop = loop
    }

    func send(_ text: String) { _ = Glibc.send(socket.number, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

    /// Has the connection end by a reset when this end is closed, which it is now as far as the other can tell.
    func reset() {
        Sockets.resetOnClose(socket.number)
        var unspecified = sockaddr(sa_family: sa_family_t(AF_UNSPEC), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        connect(socket.number, &unspecified, socklen_t(MemoryLayout<sockaddr>.size))
    }

    func finish() { shutdown(socket.number, Int32(SHUT_WR)) }

    /// What has come so far, whether the other end has ended, and how.
    private(set) var received = ""
    private(set) var ending: Ending?
    enum Ending { case finished, reset }

    func read() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while ending == nil {
            let count = recv(socket.number, &buffer, buffer.count, 0)
            if count < 0 {
                if errno != EAGAIN { ending = .reset }
                return
            }
            if count == 0 { ending = .finished } else { received += String(decoding: buffer[..<count], as: UTF8.self) }
        }
    }

    func wait(for text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        loop.run(until: {
            read()
            return received.contains(text)
        }, sourceLocation: sourceLocation)
    }

    func waitForEnd(sourceLocation: SourceLocation = #_sourceLocation) {
        loop.run(until: {
            read()
            return ending != nil
        }, sourceLocation: sourceLocation)
    }
}

/// Gives connections whose other ends the test has.
final class FakeUpstream: Upstream {
    private let loop: EventLoop
    var error: LadderError?
    private(set) var ends: [End] = []
    private(set) var asked: [KeyedHost] = []
    var authority: String?
    /// Whether nothing comes of what is asked for.
    var isSlow = false
    private var requests: [Request] = []
    /// Connections that are still wanted.
    var wanted: Int { requests.filter { !$0.isCancelled }.count }

    init(on loop: EventLoop) { self.loop = loop }

    /// Closes the newest altogether.
    func dropLast() { ends.removeLast() }

    private final class Request: UpstreamRequest {
        var isCancelled = false
        func cancel() { isCancelled = true }
    }

    func connect(
        to host: KeyedHost, service: UpstreamService, completion: @escaping (Result<UpstreamConnection, LadderError>) -> Void
    ) -> any UpstreamRequest {
        let request = Request()
        asked.append(host)
        requests.append(request)
        if isSlow { return request }
        Timer.once(on: loop, after: .zero) { [self] in
            guard !request.isCancelled else { return }
            if let error { return completion(.failure(error)) }
            let (near, far) = try! Sockets.pair()
            try! Sockets.setNonblocking(near)
            ends.append(try! End(FileDescriptor(owning: far), on: loop))
            completion(.success(UpstreamConnection(
                FileDescriptor(owning: near), path: authority == nil ? .relay : .icann, remote: "", homeserver: host.key, authority: authority)))
        }
        return request
    }
}

/// A proxy, its clients and the servers that it connects to.
struct Scene {
    let loop = EventLoop()
    let upstream: FakeUpstream
    let proxy: HTTPProxy

    init(_ change: (inout ProxySettings, inout HTTPProxy.Times) -> Void = { _, _ in }) throws {
        // Writing to a connection that has gone must not end the tests.
        signal(SIGPIPE, SIG_IGN)
        var settings = ProxySettings(), times = HTTPProxy.Times(answer: .seconds(60))
        times.look = .milliseconds(10)
        change(&settings, &times)
        upstream = FakeUpstream(on: loop)
        let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        proxy = try HTTPProxy(on: loop, listener: listener, upstream: upstream, settings: settings, times: times) { _ in }
    }

    func client(_ text: String = "") throws -> End {
        let end = try End(try Sockets.tcpConnect(to: proxy.address), on: loop)
        end.send(text)
        return end
    }

    /// The server's end of the connection that was made as that one.
    func server(_ index: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) -> End {
        loop.run(until: { upstream.ends.count > index }, sourceLocation: sourceLocation)
        return upstream.ends[index]
    }
}
