import EventLoop
import Glibc
import Platform

/// Asks other DNS servers, each query from a port of its own, so that an answer can only be forged by who sees the query.
final class Forwarder {
    /// For one try; a resolver that has to ask others takes its time.
    static let patience: Duration = .seconds(2)
    /// Tries at least, since a datagram may be lost; clients ask again after five seconds.
    static let fewestTries = 2
    static let mostTries = 4

    private let loop: EventLoop
    private let servers: [SocketAddress]
    private var exchanges: [Int: ForwardExchange] = [:]

    init(on loop: EventLoop, _ servers: [SocketAddress]) {
        self.loop = loop
        self.servers = servers
    }

    /// - Parameter completion: Called once, never from within this call, with an answer that has been checked, or nil.
    func ask(_ query: ForwardedQuery, id: Int, over transport: Transport, completion: @escaping ([UInt8]?) -> Void) {
        let tries = min(max(servers.count, Self.fewestTries), Self.mostTries)
        attempt(0, of: tries, query, id, transport, completion)
    }

    private func attempt(
        _ number: Int, of tries: Int, _ query: ForwardedQuery, _ id: Int, _ transport: Transport, _ completion: @escaping ([UInt8]?) -> Void
    ) {
        exchanges[id] = ForwardExchange(on: loop, query, with: servers[number % servers.count], over: transport) { [weak self] answer in
            guard let self else { return }
            exchanges[id] = nil
            if answer != nil || number + 1 == tries { return completion(answer) }
            attempt(number + 1, of: tries, query, id, transport, completion)
        }
    }

    func close() { exchanges = [:] }
}

/// One try with one server.
private final class ForwardExchange {
    private let query: ForwardedQuery
    private let transport: Transport
    private var socket: FileDescriptor?
    private var watcher: Watcher?
    private var timer: Timer?
    private var framing = MessageFraming(longest: ForwardedQuery.largestAnswer)
    private var unsent: [UInt8]
    private let completion: ([UInt8]?) -> Void

    /// - Parameter completion: Called once, never from within this call.
    init(
        on loop: EventLoop, _ query: ForwardedQuery, with server: SocketAddress, over transport: Transport, completion: @escaping ([UInt8]?) -> Void
    ) {
        self.query = query
        self.transport = transport
        self.completion = completion
        unsent = transport == .udp ? query.wire : MessageFraming.framed(query.wire)
        timer = Timer(on: loop) { [weak self] in self?.finish(nil) }
        do throws(SystemError) {
            // A connected socket takes datagrams from that server only.
            let socket: FileDescriptor
            if transport == .udp { socket = try Sockets.udpConnect(to: server) } else { socket = try Sockets.tcpConnect(to: server) }
            watcher = try Watcher(on: loop, socket.number) { [weak self] readiness in
                guard let self else { return }
                if readiness.contains(.writable), !send() { return }
                if readiness.contains(.readable) { receive() }
            }
            self.socket = consume socket
            watcher?.wait(for: [.readable, .writable])
            timer?.start(after: Forwarder.patience)
        } catch { timer?.start(after: .zero) }
    }

    deinit { watcher?.cancel() }

    private func finish(_ answer: [UInt8]?) {
        watcher?.cancel()
        timer?.stop()
        completion(answer)
    }

    /// False when the exchange has ended.
    private func send() -> Bool {
        guard let number = socket?.number else { return false }
        do throws(SystemError) {
            guard let sent = try Sockets.send(number, unsent, descriptor: nil) else { return true }
            unsent.removeFirst(sent)
        } catch {
            finish(nil)
            return false
        }
        if unsent.isEmpty { watcher?.wait(for: .readable) }
        return true
    }

    private func receive() {
        guard let number = socket?.number else { return }
        let bytes: [UInt8]
        do throws(SystemError) {
            guard let received = try Sockets.receive(number, capacity: ForwardedQuery.largestAnswer) else { return }
            if let descriptor = received.descriptor { Glibc.close(descriptor) }
            bytes = received.bytes
        } catch { return finish(nil) }
        if transport == .udp {
            // What is no answer to this query may be forged, and the true one still on its way.
            if query.accepts(bytes) { finish(bytes) }
            return
        }
        if bytes.isEmpty { return finish(nil) }
        framing.append(bytes)
        switch framing.next() {
        case .message(let message): finish(query.accepts(message) ? message : nil)
        case .incomplete: break
        case .broken: finish(nil)
        }
    }
}
