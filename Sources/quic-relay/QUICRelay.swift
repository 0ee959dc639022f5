import ArgumentParser
import EventLoop
import Glibc
import IrohRelay
import JSON
import Platform
import Toolkit

@main
struct QUICRelay: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "quic-relay",
        abstract: "Run an iroh relay: pass on packets between endpoints that can't reach each other.",
        discussion: """
            Writes one line with its addresses when it is ready. SIGHUP reads the access list and the certificate again; SIGTERM tells the
            clients to come back, and ends.

            Examples:
              quic-relay --http 127.0.0.1:3340
              quic-relay --http 0.0.0.0:80 --https 0.0.0.0:443 --certificate fullchain.pem --certificate-key privkey.pem
              quic-relay --http 127.0.0.1:3340 --behind-proxy 127.0.0.1 --access access.conf --client-rate 4M
            """,
        version: toolkitVersion)

    @Option(help: ArgumentHelp(
        "Where it takes plain HTTP (repeatable; default: 127.0.0.1:3340 without --https).", valueName: "ADDR:PORT"))
    var http: [SocketAddress] = []

    @Option(help: ArgumentHelp("Where it takes HTTPS (repeatable).", valueName: "ADDR:PORT"))
    var https: [SocketAddress] = []

    @Option(help: ArgumentHelp("The certificate chain for HTTPS, in PEM.", valueName: "FILE"))
    var certificate: String?

    @Option(help: ArgumentHelp("The certificate's secret key, in PEM.", valueName: "FILE"))
    var certificateKey: String?

    @Option(help: ArgumentHelp("Where it tells endpoints their public address (STUN, UDP; repeatable).", valueName: "ADDR:PORT"))
    var stun: [SocketAddress] = []

    @Option(help: ArgumentHelp("A list of who may use the relay (default: everybody).", valueName: "FILE"))
    var access: String?

    @Option(help: ArgumentHelp("Bytes a second from one client: 4M, 500K (default: no limit).", valueName: "RATE"))
    var clientRate: ByteRateArgument?

    @Option(help: ArgumentHelp("Bytes a second from all clients (default: no limit).", valueName: "RATE"))
    var totalRate: ByteRateArgument?

    @Option(help: ArgumentHelp("Connections at once (default: as many as open files allow, but 16384 at most).", valueName: "COUNT"))
    var connections: UInt32?

    @Option(help: ArgumentHelp("Connections at once from one address.", valueName: "COUNT"))
    var connectionsPerAddress: UInt32 = 256

    @Option(name: .customLong("behind-proxy"), help: ArgumentHelp(
        "A proxy to take the client's address from, in X-Forwarded-For (repeatable).", valueName: "ADDR[/LENGTH]"))
    var proxies: [AddressRange] = []

    @Option(name: .customLong("exempt"), help: ArgumentHelp(
        "Addresses without limits, which see the metrics (repeatable; none for nobody; default: this machine).", valueName: "ADDR[/LENGTH]"))
    var exemptions: [ExemptionArgument] = []

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if (certificate == nil) != (certificateKey == nil) { throw ValidationError("--certificate and --certificate-key go together") }
        if !https.isEmpty, certificate == nil { throw ValidationError("--https needs --certificate and --certificate-key") }
        if connections == 0 || connectionsPerAddress == 0 { throw ValidationError("a relay without connections is of no use") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let loop = EventLoop()
        let running = try RunningRelay(on: loop, self, log: log)
        return running.run()
    }
}
