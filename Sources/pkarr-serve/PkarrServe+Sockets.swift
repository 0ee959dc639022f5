import Discovery
import EventLoop
import Glibc
import HTTPServer
import Mainline
import PkarrRelay
import Platform
import Toolkit

/// Opening what it listens on: the sockets of a service manager, those that were asked for, or the usual ones.
extension PkarrServe {
    /// - Throws: ``CommandError`` when a socket is there twice, or options and sockets don't go together.
    func check(_ sockets: ServiceSockets) throws(CommandError) {
        if sockets.http != nil, http != nil { throw Self.twice("--http", "http") }
        if !sockets.dht.isEmpty, !dhtBind.isEmpty { throw Self.twice("--dht-bind", "dht") }
        try dns.check(with: sockets)
    }

    private static func twice(_ option: String, _ name: String) -> CommandError {
        CommandError(.configuration, "there is \(option), and a socket named \"\(name)\" was handed over", hint: "leave out one of the two")
    }

    func openNode(
        on loop: EventLoop, _ bootstraps: [HostAndPort], _ sockets: ServiceSockets, _ log: Log
    ) throws(CommandError) -> DHTNode {
        let memory = store.store.map { NodeFiles(in: $0) { log.warning($0) } }
        func open(_ places: [ListeningPlace]) throws(DHTNode.BindError) -> DHTNode {
            try DHTNode(on: loop, at: places, bootstrap: bootstraps, mode: mode, memory: memory)
        }
        let isTold = !dhtBind.isEmpty || !sockets.dht.isEmpty
        let usual = [SocketAddress("0.0.0.0:6881")!, SocketAddress("[::]:6881")!]
        let places = isTold ? dhtBind.map { ListeningPlace.address($0) } + sockets.dht.map { .socket($0) } : usual.map { .address($0) }
        do throws(DHTNode.BindError) { return try open(places) } catch {
            guard !isTold, case .address(let address) = error.place, address.ip.isV6, [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.error.code)
            else { throw Self.failure(error) }
        }
        log.debug("this machine has no IPv6: the DHT node is one of the IPv4 network only")
        do throws(DHTNode.BindError) { return try open([.address(usual[0])]) } catch { throw Self.failure(error) }
    }

    private static func failure(_ error: DHTNode.BindError) -> CommandError {
        let place = if case .address(let address) = error.place { "--dht-bind \(address)" } else { "a socket for the DHT" }
        return CommandError(.configuration, "\(place): \(error.error.reason)")
    }

    func openServer(
        on loop: EventLoop, _ sockets: ServiceSockets, _ limits: HTTPServer.Limits, _ relay: PkarrRelay
    ) throws(CommandError) -> HTTPServer {
        let address = http ?? SocketAddress("127.0.0.1:6881")!
        let place = sockets.http.map { ListeningPlace.socket($0) } ?? .address(address)
        do throws(SystemError) { return try HTTPServer(on: loop, at: place, limits: limits) { relay.answer($0) } } catch {
            if error.call == "dlopen" {
                throw CommandError(.configuration, "libmicrohttpd can't be loaded", hint: "on Debian it is in the package libmicrohttpd12")
            }
            throw CommandError(.configuration, "\(sockets.http == nil ? "--http \(address)" : "a socket for HTTP"): \(error.reason)")
        }
    }
}
