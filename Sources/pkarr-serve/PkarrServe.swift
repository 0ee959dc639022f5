import ArgumentParser
import Crypto
import Discovery
import DiscoveryOptions
import EventLoop
import Glibc
import HTTPServer
import JSON
import Mainline
import Pkarr
import PkarrRelay
import Platform
import Toolkit

@main
struct PkarrServe: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "pkarr-serve",
        abstract: "Run a Mainline DHT node with a pkarr HTTP relay in front of it.",
        discussion: """
            Writes one line with its addresses when it is ready. Without a bootstrap node it starts a network of its own, which others
            join by naming it.

            Examples:
              pkarr-serve --dht-bind 127.0.0.1:0 --http 127.0.0.1:0
              pkarr-serve --dht-bind 127.0.0.1:0 --http 127.0.0.1:0 --bootstrap 127.0.0.1:6881
              pkarr-serve --bootstrap router.bittorrent.com:6881 --bootstrap relay.pkarr.org:6881
              pkarr-serve --bootstrap router.bittorrent.com:6881 --dns 127.0.0.1:5300
            """,
        version: toolkitVersion)

    @Option(help: ArgumentHelp(
        "Where the DHT node listens (UDP); may be given once for IPv4 and once for IPv6 (default: port 6881 of both).", valueName: "ADDR:PORT"))
    var dhtBind: [SocketAddress] = []

    @Option(help: ArgumentHelp("Where the relay listens (TCP, plain HTTP; default: 127.0.0.1:6881).", valueName: "ADDR:PORT"))
    var http: SocketAddress?

    @Option(name: .customLong("bootstrap"), help: ArgumentHelp(
        "A node of the network to join (repeatable; default: PKARR_BOOTSTRAP, else none).", valueName: "HOST:PORT"))
    var bootstraps: [HostAndPort] = []

    @Option(name: .customLong("hand-out"), help: ArgumentHelp(
        "Write packets of this key that are put here as packet lines, and publish them nowhere (repeatable).", valueName: "KEY"))
    var handedOut: [PublicKey] = []

    @OptionGroup(title: "DNS") var dns: DNSOptions

    @OptionGroup(title: "Limits") var limits: LimitOptions

    @OptionGroup(title: "Store") var store: StoreOptions

    @OptionGroup var common: CommonOptions

    func validate() throws {
        for isV6 in [false, true] where dhtBind.count(where: { $0.ip.isV6 == isV6 }) > 1 {
            throw ValidationError("--dht-bind can be given once for IPv4 and once for IPv6: each is one node of one network")
        }
    }

    func execute(log: Log) throws -> ExitStatus {
        let loop = EventLoop()
        let sockets = try ServiceSockets()
        try check(sockets)
        var failure: (any Error)?
        let bootstraps = try chosen(bootstraps, "PKARR_BOOTSTRAP", "HOST:PORT", default: []) { HostAndPort($0) }
        let files = try store.open(log: log)
        let node = try openNode(on: loop, bootstraps, sockets, log)
        node.limitQueries(limits.queryLimiter)
        node.archive = files?.items
        let relay = PkarrRelay(network: node, isFirstOfNetwork: bootstraps.isEmpty, visitors: limits.visitors, archive: files?.packets)
        relay.onUnknownProxy = { peer in
            log.warning("\(peer) forwards requests, and all its clients count as one",
                        hint: "--behind-proxy \(peer) takes their addresses from it")
        }
        var httpLimits = HTTPServer.Limits(body: PkarrRelay.largestBody)
        if !limits.proxies.isEmpty { httpLimits.connectionsPerAddress = nil }
        raiseOpenFileLimit()
        let server = try openServer(on: loop, sockets, httpLimits, relay)
        let door = try dns.open(on: loop, relay, limits, sockets, log: log)
        relay.moreMetrics = { [unowned server] metrics in
            metrics.add(of: server)
            metrics.add(of: node)
            if let files { metrics.add(of: files) }
            if let door { metrics.add(of: door) }
            metrics.addProcess()
        }
        let output = handedOut.isEmpty ? nil : OutputWatcher(on: loop, alsoSockets: true) { loop.stop() }
        if !handedOut.isEmpty { try handOut(from: relay, node) { failure = $0; loop.stop() } }
        let service = Service(on: loop, signals: [])
        var isEnding = false
        let watchers = [SIGINT, SIGTERM].map { number in
            SignalWatcher(on: loop, number) {
                // Told twice, it does not wait any longer.
                if isEnding { return service.finish(.done) }
                isEnding = true
                ServiceManager.tellStopping()
                server.drain(patience: Self.patience) { service.finish(.done) }
            }
        }
        let status = StatusReport(on: loop, log: log) {
            "\(server.connections) HTTP connections open of \(server.accepted), \(node.knownNodes) DHT nodes known, "
                + "\(node.storedItems) items for others in \(spelled(bytes: UInt64(node.storedBytes)))"
        }
        var addresses = JSONObject(members: [
            ("dht", .string("\(node.localAddresses[0])")), ("http", .string("http://\(server.address)")),
            ("dht_addresses", .array(node.localAddresses.map { .string("\($0)") })),
        ])
        if let door { addresses["dns"] = .array(door.addresses.map { .string("\($0)") }) }
        if handedOut.isEmpty {
            try StandardOutput.write(.object(addresses))
        } else {
            log.notice("ready: \(JSONValue.object(addresses).text)")
        }
        ServiceManager.tellReady()
        _ = withExtendedLifetime((output, watchers, status)) { service.run() }
        if !isEnding { ServiceManager.tellStopping() }
        door?.close()
        server.close()
        node.close()
        if let failure { throw failure }
        return .done
    }

    /// For requests that are under way at the end: longer than a look-up takes, and shorter than those wait who connect meanwhile.
    private static let patience = Duration.seconds(3)

    var mode: MainlineNode.Mode {
        handedOut.isEmpty ? .server : .sole(handingOut: Set(handedOut.map { MutableItem.target(of: $0) }))
    }

    /// Whoever puts a packet of the keys, over HTTP or to the node, gives it to the reader of standard output; all others go on to the DHT.
    private func handOut(from relay: PkarrRelay, _ node: DHTNode, onFailure: @escaping (any Error) -> Void) throws {
        let handOut = HandOut(Set(handedOut)) { packet in
            do { try StandardOutput.write(.object(packet.json)) } catch { onFailure(error) }
        }
        relay.handOut = handOut
        node.onGiven = { [unowned node] item in
            guard handOut.keys.contains(item.key) else { return _ = node.put(item) { _ in } }
            if let packet = try? SignedPacket(item) { handOut.take(packet) }
        }
    }
}
