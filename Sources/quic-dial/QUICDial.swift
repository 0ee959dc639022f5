import ArgumentParser
import Crypto
import EventLoop
import Glibc
import Iroh
import Metrics
import JSON
import Paths
import Platform
import QUIC
import RelayArguments
import RouterPorts
import Toolkit
import Tunnel

@main
struct QUICDial: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "quic-dial",
        abstract: "Open QUIC streams to the owner of a key.",
        discussion: """
            Reads where peers are as endpoint lines; a later line about the same peer replaces the earlier one. Prints a stream line for \
            each connection it makes. With --stdio and with a program there is one stream, and standard input and output belong to it: the \
            endpoint then comes from --endpoint, and what would be a stream line goes to standard error.

            Examples:
              pkarr-resolve KEY | iroh-txt decode | quic-dial --bridge bridge.sock
              quic-dial --endpoint endpoint.json --stdio < request > answer
              ssh -o ProxyCommand='quic-dial --endpoint home.json --stdio' home
            """,
        version: toolkitVersion)

    @Option(help: ArgumentHelp("Secret key file to be known by; without it a fresh key is made.", valueName: "file"))
    var key: String?

    @Option(help: ArgumentHelp("Application protocol to ask for.", valueName: "name"))
    var alpn = TunnelDefaults.alpn

    @Option(help: ArgumentHelp("File with endpoint lines to read instead of standard input.", valueName: "file"))
    var endpoint: String?

    @OptionGroup var relayTokens: RelayTokenOptions

    @Flag(help: "Use no relays.")
    var noRelays = false

    @Flag(help: "Use relays only: no addresses of the peers, and no hole punching.")
    var noDirect = false

    @Option(name: .customLong("stun"), help: ArgumentHelp(
        "A STUN server that tells which address others see (repeatable; default: the peers' relays).", valueName: "host:port"))
    var stunServers: [HostAndPort] = []

    @OptionGroup var portMap: PortMapOptions

    @Option(help: ArgumentHelp("Time after which a peer counts as unreachable.", valueName: "duration"))
    var timeout: DurationArgument = "10s"

    @Option(help: ArgumentHelp("Socket of tunnel-bridge connect, which hands over the connections that want a stream.", valueName: "socket"))
    var bridge: String?

    @Flag(help: "Open one stream and make it standard input and output.")
    var stdio = false

    @OptionGroup var metricsFile: MetricsOptions

    @OptionGroup var common: CommonOptions

    @Argument(parsing: .postTerminator, help: ArgumentHelp("Program to run with one stream, after --.", valueName: "program"))
    var program: [String] = []

    func validate() throws {
        if [bridge != nil, stdio, !program.isEmpty].filter({ $0 }).count != 1 {
            throw ValidationError("give one of --bridge SOCKET, --stdio and -- PROGRAM")
        }
        if stdio && endpoint == nil { throw ValidationError("--stdio needs --endpoint FILE: standard input belongs to the stream") }
        if noRelays && noDirect { throw ValidationError("--no-relays and --no-direct leave no way to a peer") }
        if !QUIC.Configuration(alpn: [alpn]).isValid { throw ValidationError("--alpn takes a name of 1 to 255 bytes") }
    }

    func execute(log: Log) throws -> ExitStatus {
        if let bridge { try checkSocketPath(bridge) }
        let key = try key.map { try KeyFile.read($0) } ?? SecretKey.generate()
        let loop = EventLoop()
        let tokens = try relayTokens.read()
        let driver = EndpointDriver(key: key, configuration: QUIC.Configuration(alpn: [alpn]), relayTokens: tokens, on: loop)
        do throws(SystemError) { try driver.bindAnywhere() } catch { throw CommandError(.configuration, "no UDP socket: \(error)") }
        driver.puncher.isWanted = !noDirect
        let service = Service(on: loop)
        let dialling = Dialling(driver: driver, service: service, timeout: timeout.duration, log: log, printsStreams: !stdio && program.isEmpty)
        (dialling.usesRelays, dialling.usesAddresses) = (!noRelays, !noDirect)
        dialling.stunServers = stunServers
        // Whoever opens one stream is gone before it would pay.
        if bridge != nil, !noDirect, !portMap.isOff {
            dialling.routerPorts = RouterPorts(for: driver, on: loop, isVerbose: common.verbose, log: log)
        }
        let status = try StatusReport(on: loop, file: metricsFile.metrics, log: log) {
            "\(EndpointActivity(of: driver).text), \(dialling.status)"
        } figures: {
            var metrics = Metrics(prefix: "quic_dial")
            EndpointActivity(of: driver).write(to: &metrics)
            dialling.write(to: &metrics)
            return metrics.text
        }
        defer {
            status.close()
            dialling.close()
            driver.close()
        }
        if let bridge { return try serve(bridge, dialling, service, log) }
        try dialling.readFile(endpoint)
        return try oneStream(dialling, service, driver, log)
    }

    /// Streams for whatever the bridge hands over, until told to stop.
    private func serve(_ bridge: String, _ dialling: Dialling, _ service: Service, _ log: Log) throws -> ExitStatus {
        var reader: ObjectReader?
        if endpoint != nil {
            try dialling.readFile(endpoint)
            _ = try dialling.onlyLink()
        } else { reader = dialling.readStandardInput() }
        let client = HandoverClient(on: service.loop, path: bridge, service: .streams {
            (request: HandoverRequest, socket: consuming FileDescriptor, responder: HandoverResponder) in
            dialling.open(request, socket, responder)
        }) { state in
            switch state {
            case .connected: log.notice("bridge at \(bridge) is there")
            case .disconnected(let reason): log.warning("no bridge at \(bridge): \(reason)")
            }
        }
        return withExtendedLifetime((reader, client)) { service.run() }
    }

    /// One stream for standard input and output, or for a program.
    private func oneStream(_ dialling: Dialling, _ service: Service, _ driver: EndpointDriver, _ log: Log) throws -> ExitStatus {
        var failure: CommandError?
        let link = try dialling.onlyLink()
        var exit: Int32?
        dialling.askForAddresses(true)
        link.openStream { result in
            switch result {
            case .failure(let error):
                failure = error.commandError(peer: link.peer.id)
                service.finish(.done)
            case .success(let stream):
                do throws(CommandError) {
                    try attach(stream, dialling, service, driver) { exit = $0 } onFailure: { failure = $0 }
                } catch {
                    failure = error
                    service.finish(.done)
                }
            }
        }
        let status = service.run()
        if let failure { throw failure }
        if let exit, exit != 0 { throw ExitCode(exit) }
        return status
    }

    private func attach(
        _ stream: QUIC.Stream, _ dialling: Dialling, _ service: Service, _ driver: EndpointDriver, onExit: @escaping (Int32) -> Void,
        onFailure: @escaping (CommandError) -> Void
    ) throws(CommandError) {
        let ended: (StreamPump.Ending, Int64) -> Void = { ending, _ in
            switch ending {
            case .finished, .exhausted: break
            case .brokenByPeer(let code): onFailure(CommandError(.unreachable, "the peer broke off the stream with code \(code)"))
            case .brokenLocally(let error): if error.code != EPIPE { onFailure(CommandError(.outputFailed, "standard input or output: \(error)")) }
            case .lost(let reason): onFailure(CommandError(.unreachable, "the connection was lost: \(reason)"))
            }
            if program.isEmpty || ending != .finished { service.finish(.done) }
        }
        do throws(SystemError) {
            guard !program.isEmpty else {
                _ = try StreamPump(stream, input: STDIN_FILENO, output: STDOUT_FILENO, owned: false, on: service.loop, completion: ended)
                return
            }
            // The program may end before its last bytes have left, and the stream before the program: both have to.
            var isPumped = false
            var status: Int32?
            let finishIfBoth = {
                guard isPumped, let status else { return }
                onExit(status)
                service.finish(.done)
            }
            let environment = StreamProgram.environment(stream.connection, localKey: driver.endpoint.publicKey)
            let running = try StreamProgram(program, environment: environment, on: service.loop) { _, ending in
                switch ending {
                case .exited(let code): status = code
                case .killed(let signal): status = 128 + signal
                }
                finishIfBoth()
            }
            _ = try StreamPump(stream, input: running.output, output: running.input, on: service.loop) { ending, carried in
                isPumped = true
                ended(ending, carried)
                finishIfBoth()
            }
        } catch {
            throw CommandError(.configuration, program.isEmpty ? "standard input or output: \(error)" : "can't run \(program[0]): \(error.reason)")
        }
    }
}
