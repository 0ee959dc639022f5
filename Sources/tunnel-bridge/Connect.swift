import ArgumentParser
import Crypto
import EventLoop
import Glibc
import JSON
import Metrics
import Platform
import Toolkit
import Tunnel

/// The bridge beside a client.
struct Connect: ToolkitCommand {
    static let configuration = CommandConfiguration(
        abstract: "Accept TCP connections and hand each to quic-dial.",
        discussion: """
            Prints {"listening":"HOST:PORT"} with its real port when it listens. Connections wait up to \
            \(ClientBridge.holdTime.components.seconds) s for quic-dial to connect to SOCKET; one that gets no stream is reset at once. \
            Ends cleanly on SIGTERM; connections that were handed over go on.

            Example:
              tunnel-bridge connect --socket /tmp/dial.sock --listen 127.0.0.1:8080 &
              pkarr-resolve KEY | iroh-txt decode | quic-dial --bridge /tmp/dial.sock &
              curl -H 'Host: KEY' http://127.0.0.1:8080/
            """)

    @OptionGroup var metricsFile: MetricsOptions

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("The Unix socket that quic-dial connects to; made with mode 0600.", valueName: "SOCKET"))
    var socket: String

    @Option(help: ArgumentHelp("Where to listen; port 0 takes a free one.", valueName: "HOST:PORT"))
    var listen: HostAndPort

    @Option(help: ArgumentHelp("To whom the streams go, for a quic-dial that knows more than one peer.", valueName: "KEY"))
    var peer: String?

    func execute(log: Log) throws -> ExitStatus {
        let key = try peer.map(Self.key)
        raiseOpenFileLimit()
        let loop = EventLoop()
        let listener = try tcpListener(at: listen, on: loop)
        let bridge: ClientBridge
        do throws(SystemError) {
            bridge = try ClientBridge(on: loop, socketPath: socket, listener: listener, peer: key) { report($0, to: log) }
        } catch { throw socketError(socket, error) }
        defer { bridge.close() }
        let status = try StatusReport(on: loop, file: metricsFile.metrics, log: log) {
            "\(bridge.opened) streams opened, \(bridge.refused) connections refused, \(bridge.heldCount) held"
        } figures: {
            var metrics = Metrics(prefix: "tunnel_bridge_connect")
            metrics.add("streams_opened_total", .counter, "Connections that got a stream.", bridge.opened)
            metrics.add("connections_refused_total", .counter, "Connections that got none.", bridge.refused)
            metrics.add("connections_held", .gauge, "Connections that wait for quic-dial.", bridge.heldCount)
            return metrics.text
        }
        defer { status.close() }
        try tunnel_bridge.run(loop, ready: ["listening": .string("\(bridge.address)"), "socket": .string(socket)])
        return .done
    }

    private func report(_ event: ClientBridge.Event, to log: Log) {
        switch event {
        case .handover(let event): tunnel_bridge.report(event, from: "quic-dial", to: log)
        case .opened(let client, let path):
            log.debug("\(client.map { "\($0)" } ?? "a client that has gone"): stream open, path \(path ?? "not told")")
        case .refused(let client, let reason): log.error("\(client.map { "\($0)" } ?? "a client that has gone"): no stream: \(reason)")
        case .acceptFailed(let error): log.error("can't accept connections: \(error.reason)")
        }
    }

    private static func key(_ text: String) throws(CommandError) -> PublicKey {
        guard let key = PublicKey(parsing: text) else {
            throw CommandError(.usage, "--peer: \"\(text.prefix(80))\" is no key", hint: "z-base-32, pk:KEY, a pubky:// URL or hexadecimal")
        }
        return key
    }
}
