import Crypto
import EventLoop
import FuzzSupport
import Glibc
import HTTP1
import HTTPProxy
import Ladder
import Platform

private let key = PublicKey(zBase32: "8pinxxgqs41n4aididenw5apqp1urfmzdztr8jt4abrkdn435ewo")!
private nonisolated(unsafe) let loop = EventLoop()

private func receive(_ socket: Int32, into bytes: inout [UInt8]) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    if count > 0 { bytes += buffer[..<count] }
    return count > 0
}

/// Homeservers of any key, each of which says the same to the first that it is asked, and then no more.
private final class Homeservers: Upstream {
    private let answer: [UInt8]
    private var sockets: [Int32] = []
    /// The host is nil for a tunnel, in which everything is the client's business.
    private(set) var asked: [(host: KeyedHost?, bytes: [UInt8])] = []

    init(answering answer: [UInt8]) { self.answer = answer }

    deinit { for socket in sockets { close(socket) } }

    private final class Request: UpstreamRequest {
        var isCancelled = false
        func cancel() { isCancelled = true }
    }

    func connect(
        to host: KeyedHost, service: UpstreamService, completion: @escaping (Result<UpstreamConnection, LadderError>) -> Void
    ) -> any UpstreamRequest {
        let request = Request()
        Timer.once(on: loop, after: .zero) { [self] in
            guard !request.isCancelled else { return }
            let (near, far) = try! Sockets.pair()
            try! Sockets.setNonblocking(near)
            sockets.append(far)
            asked.append((service == .raw ? nil : host, []))
            completion(.success(UpstreamConnection(FileDescriptor(owning: near), path: .direct, remote: "", homeserver: key)))
        }
        return request
    }

    /// Whether anything has happened.
    func serve() -> Bool {
        var hasMoved = false
        for index in asked.indices {
            let isFirst = asked[index].bytes.isEmpty
            guard receive(sockets[index], into: &asked[index].bytes) else { continue }
            hasMoved = true
            guard isFirst else { continue }
            send(sockets[index], answer, answer.count, Int32(MSG_NOSIGNAL))
            shutdown(sockets[index], Int32(SHUT_WR))
        }
        return hasMoved
    }
}

/// What servers read there has one meaning, and is for them.
private func check(_ bytes: [UInt8], for host: KeyedHost) {
    var reader = HeadReader<RequestHead>()
    reader.append(bytes)
    while reader.unreadCount > 0 {
        guard let head = try? reader.next() else { return precondition(reader.unreadCount == 0, "whole heads are passed, and nothing but heads and bodies") }
        precondition(head.fields.values("host") == [host.name], "the host is the one that was meant")
        precondition(head.form.map { if case .absolute = $0 { false } else { head.method != "CONNECT" } } == true, "it is a request to a server")
        precondition(!head.fields.contains("proxy-authorization") && !head.fields.contains("proxy-connection"), "what is for the proxy stays there")
        precondition(head.fields.elements("connection").allSatisfy { ["close", "upgrade"].contains($0) }, "one hop's fields stay there")
        guard let framing = try? head.framing() else { preconditionFailure("what is passed can be read in one way") }
        // What follows may be WebSocket's.
        if !head.upgrades.isEmpty { return }
        var rest = reader.takeUnread()
        var body = BodyTracker(framing)
        while !body.isFinished, !rest.isEmpty {
            guard let taken = rest.withUnsafeBytes({ try? body.consume($0) }), taken > 0 else { preconditionFailure("chunks that are passed are in order") }
            rest.removeFirst(taken)
        }
        reader.append(rest)
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        // The client's bytes, and behind 255 the servers'.
        let parts = bytes.split(separator: 0xff, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        signal(SIGPIPE, SIG_IGN)
        let servers = Homeservers(answering: parts.count > 1 ? parts[1] : [])
        let proxy = try! HTTPProxy(on: loop, listener: try! Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!), upstream: servers)
        let client = try! Sockets.tcpConnect(to: proxy.address)
        // No port is to be out of use for a minute after this.
        Sockets.resetOnClose(client.number)
        send(client.number, parts[0], parts[0].count, Int32(MSG_NOSIGNAL))
        var answers: [UInt8] = []
        for isEnding in [false, true] {
            if isEnding { shutdown(client.number, Int32(SHUT_WR)) }
            // Nothing takes time here: what has not happened after some rounds in which nothing did will not happen.
            var quiet = 0
            while quiet < 8 {
                loop.runOnce(waiting: false)
                let hasServed = servers.serve(), hasAnswered = receive(client.number, into: &answers)
                quiet = hasServed || hasAnswered ? 0 : quiet + 1
            }
        }
        proxy.close()
        loop.runOnce(waiting: false)
        for (host, bytes) in servers.asked { if let host { check(bytes, for: host) } }
        if !answers.isEmpty {
            var reader = HeadReader<ResponseHead>()
            reader.append(answers)
            guard let head = try? reader.next() else { preconditionFailure("the client gets a head") }
            precondition(head.fields.values("via").last == "1.1 keyhole", "which has passed through here")
        }
    }
}
