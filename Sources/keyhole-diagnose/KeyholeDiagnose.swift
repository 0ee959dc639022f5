import ArgumentParser
import Crypto
import Diagnosis
import DiscoveryOptions
import EventLoop
import Paths
import Platform
import QUIC
import RouterPorts
import Toolkit
import Tunnel

@main
struct KeyholeDiagnose: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "keyhole-diagnose",
        abstract: "Find out what keeps a key from being reached, or what this network lets through.",
        discussion: """
            Tries each step from the look-up of a key to the first byte of an answer, and what the network around this machine does to it. \
            Tells each finding as soon as it is known, and at the end what is wrong and what to do. Publishes and changes nothing.

            Examples:
              keyhole-diagnose KEY
              keyhole-diagnose --iroh-relay https://relay.example/ --stun stun1.example:3478 --stun stun2.example:3478
              keyhole-diagnose KEY | jq -c 'select(.ok == false or .verdict)'
            """,
        version: toolkitVersion)

    @OptionGroup var sources: SourceOptions

    @OptionGroup var iroh: IrohRelayOptions

    @Option(name: .customLong("stun"), help: ArgumentHelp(
        "A STUN server that tells which address others see; two tell the kind of NAT (repeatable; default: the iroh relays).",
        valueName: "host:port"))
    var stunServers: [HostAndPort] = []

    @OptionGroup var portMap: PortMapOptions

    @Option(help: ArgumentHelp("Secret key file to be known by; without it a fresh key is made.", valueName: "file"))
    var key: String?

    @Option(help: ArgumentHelp("Application protocol to ask for.", valueName: "name"))
    var alpn = TunnelDefaults.alpn

    @Flag(help: "Send no HTTP request.")
    var noRequest = false

    @Option(help: ArgumentHelp("Time after which the verdict is given, whatever is not known yet.", valueName: "duration"))
    var timeout: DurationArgument = "20s"

    @OptionGroup var common: CommonOptions

    @Argument(help: ArgumentHelp("Whose server to reach; without it only the network here is looked at.", valueName: "KEY"))
    var peer: PublicKey?

    func validate() throws {
        if !QUIC.Configuration(alpn: [alpn]).isValid { throw ValidationError("--alpn takes a name of 1 to 255 bytes") }
        if timeout.duration < .seconds(1) { throw ValidationError("--timeout has to be at least 1s") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let key = try key.map { try KeyFile.read($0) } ?? SecretKey.generate()
        var question = Diagnosis.Question(peer, timeout: timeout.duration)
        (question.relays, question.stunServers) = (try iroh.list(), stunServers)
        // What another protocol makes of a request is not known.
        question.isRequested = !noRequest && alpn == TunnelDefaults.alpn
        question.asksRouter = !portMap.isOff
        let loop = EventLoop()
        let sources = try sources.open(on: loop, log: log)
        defer { sources.dht?.close() }
        let driver = EndpointDriver(key: key, configuration: QUIC.Configuration(alpn: [alpn]), relayTokens: try iroh.tokens.read(), on: loop)
        do throws(SystemError) { try driver.bindAnywhere() } catch { throw CommandError(.configuration, "no UDP socket: \(error)") }
        var diagnosis: Diagnosis?
        // Who is tired of waiting wants to know what is known.
        let service = Service(on: loop) { diagnosis?.end() }
        let report = Report(on: service)
        diagnosis = Diagnosis(question, over: driver, sources: sources, on: loop, report: report.show) { report.end($0) }
        withExtendedLifetime(OutputWatcher(on: loop, alsoSockets: true) { report.fail(OutputClosed()) }) { _ = service.run() }
        // Connections that are closed tell it so.
        withExtendedLifetime(diagnosis) {
            diagnosis?.close()
            driver.close()
        }
        if let failure = report.failure { throw failure }
        return report.status
    }
}
