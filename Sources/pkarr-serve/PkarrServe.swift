import ArgumentParser
import Discovery
import DiscoveryOptions
import EventLoop
import HTTPServer
import JSON
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

    @Option(help: ArgumentHelp("Where the DHT node listens (UDP, IPv4).", valueName: "ADDR:PORT"))
    var dhtBind = SocketAddress("0.0.0.0:6881")!

    @Option(help: ArgumentHelp("Where the relay listens (TCP, plain HTTP).", valueName: "ADDR:PORT"))
    var http = SocketAddress("127.0.0.1:6881")!

    @Option(name: .customLong("bootstrap"), help: ArgumentHelp(
        "A node of the network to join (repeatable; default: PKARR_BOOTSTRAP, else none).", valueName: "HOST:PORT"))
    var bootstraps: [DHTNode.Bootstrap] = []

    @OptionGroup(title: "DNS") var dns: DNSOptions

    @OptionGroup(title: "Limits") var limits: LimitOptions

    @OptionGroup(title: "Store") var store: StoreOptions

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if dhtBind.ip.isV6 { throw ValidationError("--dht-bind has to be an IPv4 address: Mainline has no IPv6") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let loop = EventLoop()
        let bootstraps = try chosen(bootstraps, "PKARR_BOOTSTRAP", "HOST:PORT", default: []) { DHTNode.Bootstrap($0) }
        let node = try bind("--dht-bind", dhtBind) { () throws(SystemError) in
            try DHTNode(on: loop, bind: dhtBind, bootstrap: bootstraps, mode: .server)
        }
        node.limiter = limits.queryLimiter
        let files = try store.open(log: log)
        node.archive = files?.items
        let relay = PkarrRelay(network: node, isFirstOfNetwork: bootstraps.isEmpty, visitors: limits.visitors, archive: files?.packets)
        relay.onUnknownProxy = { peer in
            log.warning("\(peer) forwards requests, and all its clients count as one", hint: "--behind-proxy \(peer) takes their addresses from it")
        }
        var httpLimits = HTTPServer.Limits(body: PkarrRelay.largestBody)
        if !limits.proxies.isEmpty { httpLimits.connectionsPerAddress = nil }
        raiseOpenFileLimit()
        let server = try bind("--http", http) { () throws(SystemError) in
            try HTTPServer(on: loop, bind: http, limits: httpLimits) { relay.answer($0) }
        }
        let door = try dns.open(on: loop, relay, limits, log: log)
        relay.moreMetrics = { [unowned server] metrics in
            metrics.add(of: server)
            metrics.add(of: node)
            if let files { metrics.add(of: files) }
            if let door { metrics.add(of: door) }
            metrics.addProcess()
        }
        let service = Service(on: loop)
        var addresses = JSONObject(members: [("dht", .string("\(node.localAddress)")), ("http", .string("http://\(server.address)"))])
        if let door { addresses["dns"] = .array(door.addresses.map { .string("\($0)") }) }
        try StandardOutput.write(.object(addresses))
        ServiceManager.tellReady()
        service.run()
        ServiceManager.tellStopping()
        door?.close()
        server.close()
        node.close()
        return .done
    }

    private func bind<Bound>(_ option: String, _ address: SocketAddress, _ body: () throws(SystemError) -> Bound) throws(CommandError) -> Bound {
        do throws(SystemError) { return try body() } catch {
            if error.call == "dlopen" {
                throw CommandError(.configuration, "libmicrohttpd can't be loaded", hint: "on Debian it is in the package libmicrohttpd12")
            }
            throw CommandError(.configuration, "\(option) \(address): \(error.reason)")
        }
    }
}
