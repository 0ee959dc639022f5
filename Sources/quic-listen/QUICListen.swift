import ArgumentParser
import Crypto
import EventLoop
import Glibc
import Iroh
import Metrics
import Paths
import Platform
import QUIC
import RouterPorts
import Toolkit
import Tunnel

@main
struct QUICListen: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "quic-listen",
        abstract: "Take QUIC connections to a key and serve their streams.",
        discussion: """
            Prints where it can be reached as an endpoint line, and another one each time that changes. Each stream goes to the local \
            connection that a bridge hands over, or to a program of its own with the stream as standard input and output.

            Examples:
              quic-listen --key secret --bridge bridge.sock
              quic-listen --key secret --bind 0.0.0.0:4433 -- cat
              quic-listen --key secret --relay https://relay.example/ --bridge bridge.sock
              quic-listen --key secret --bridge bridge.sock | iroh-txt encode | pkarr-build --key secret | pkarr-publish
            """,
        version: toolkitVersion)

    @Option(help: ArgumentHelp("Secret key file: 64 hexadecimal digits or 32 bytes, readable by its owner only.", valueName: "file"))
    var key: String

    @Option(help: ArgumentHelp("Application protocol taken; may be repeated, most wanted first. (default: \(TunnelDefaults.alpn))", valueName: "name"))
    var alpn: [String] = []

    @Option(help: ArgumentHelp("UDP address to listen on; may be repeated. (default: a free port on 0.0.0.0 and [::])", valueName: "addr:port"))
    var bind: [SocketAddress] = []

    @Option(help: ArgumentHelp("Address to announce besides those found, such as a forwarded port; may be repeated.", valueName: "addr:port"))
    var address: [SocketAddress] = []

    @Flag(help: "Announce addresses of the local network too.")
    var lan = false

    @OptionGroup var portMap: PortMapOptions

    @Option(help: ArgumentHelp("Socket of tunnel-bridge serve, which gives each stream its local connection.", valueName: "socket"))
    var bridge: String?

    @Option(help: ArgumentHelp("Connections in their handshake from which on new clients have to prove their address by Retry.", valueName: "count"))
    var retryThreshold = 64

    @OptionGroup var relays: RelayOptions

    @OptionGroup var metricsFile: MetricsOptions

    @OptionGroup var common: CommonOptions

    @Argument(parsing: .postTerminator, help: ArgumentHelp("Program to run for each stream, after --.", valueName: "program"))
    var program: [String] = []

    func validate() throws {
        if (bridge == nil) == program.isEmpty { throw ValidationError("give either --bridge SOCKET or -- PROGRAM") }
        if retryThreshold < 0 { throw ValidationError("--retry-threshold has to be 0 or more") }
        if !alpn.isEmpty && !QUIC.Configuration(alpn: alpn).isValid { throw ValidationError("--alpn takes up to 16 names of 1 to 255 bytes") }
    }

    /// Takes the sockets that a service manager has opened, and opens those that the options name, or any.
    private func listen(over driver: EndpointDriver) throws(CommandError) {
        do throws(SystemError) {
            let sockets = try ActivatedSockets.take()
            for socket in sockets { try driver.listen(at: .socket(socket.descriptor)) }
            for address in bind { try driver.bind(address) }
            if bind.isEmpty, sockets.isEmpty { try driver.bindAnywhere() }
        } catch {
            throw CommandError(.configuration, "can't listen on \(bind.map(\.description).joined(separator: ", ")): \(error)")
        }
    }

    func execute(log: Log) throws -> ExitStatus {
        if let bridge { try checkSocketPath(bridge) }
        let key = try KeyFile.read(key)
        let loop = EventLoop()
        var configuration = QUIC.Configuration(alpn: alpn.isEmpty ? [TunnelDefaults.alpn] : alpn)
        configuration.retryThreshold = retryThreshold
        let relayList = try relays.list()
        let driver = EndpointDriver(key: key, configuration: configuration, relayTokens: try relays.readToken(), on: loop)
        try listen(over: driver)

        let backend: any StreamBackend
        var client: HandoverClient?
        if let bridge {
            client = HandoverClient(on: loop, path: bridge, service: .none) { state in
                switch state {
                case .connected: log.notice("bridge at \(bridge) is there")
                case .disconnected(let reason): log.warning("no bridge at \(bridge): \(reason); streams are refused until there is one")
                }
            }
            backend = BridgeBackend(client!, over: driver, on: loop)
        } else {
            backend = ProgramBackend(program, localKey: key.publicKey, on: loop)
        }
        let server = StreamServer(backend, over: driver) { line in log.debug(line) }
        driver.endpoint.acceptor = server

        let service = Service(on: loop) {
            server.close()
            driver.close()
        }
        driver.candidates.configured = address
        driver.candidates.publishesLAN = lan
        let announcer = Announcer(key.publicKey, relays: relayList, over: driver, service: service, log: log)
        announcer.stunServers = relays.stunServers
        try announcer.start()
        let status = try StatusReport(on: loop, file: metricsFile.metrics, log: log) {
            let bridge = client.map { $0.state == .connected ? ["bridge connected"] : ["no bridge"] } ?? []
            return ([EndpointActivity(of: driver).text, server.refusals.text] + bridge + [announcer.status]).joined(separator: ", ")
        } figures: {
            var metrics = Metrics(prefix: "quic_listen")
            EndpointActivity(of: driver).write(to: &metrics)
            server.refusals.write(to: &metrics)
            announcer.write(to: &metrics)
            return metrics.text
        }
        defer { status.close() }
        let routerPorts = portMap.isOff ? nil : RouterPorts(for: driver, on: loop, isVerbose: common.verbose, log: log)
        routerPorts?.start()
        let reload = relays.relayList == nil ? nil : SignalWatcher(on: loop, SIGHUP) {
            announcer.setRelays { () throws(CommandError) in try relays.list() }
        }
        return try withExtendedLifetime((server, backend, driver, routerPorts, reload)) {
            let status = service.run()
            if let failure = announcer.failure {
                server.close()
                driver.close()
                throw failure
            }
            return status
        }
    }
}
