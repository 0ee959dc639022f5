import ArgumentParser
import Crypto
import EventLoop
import Glibc
import HTTPProxy
import JSON
import Ladder
import Metrics
import Platform
import RateLimits
import Toolkit
import Tunnel

/// The HTTP proxy beside a client.
struct Proxy: ToolkitCommand {
    static let configuration = CommandConfiguration(
        abstract: "Be an HTTP proxy that leads to homeservers by their keys.",
        discussion: """
            Takes http://KEY/, http://_pubky.KEY/ and https://KEY/ of any number of keys, and CONNECT, also with WebSockets. Prints \
            {"listening":"HOST:PORT"} with its real port when it listens, then a line for each key whose packet is wanted; reads packets. \
            A browser is set up by the address of http://HOST:PORT/proxy.pac. Listens at this machine only; ends cleanly on SIGTERM.

            Example:
              mkfifo packets
              tunnel-bridge proxy --socket dial.sock --listen 127.0.0.1:8080 < packets | pkarr-resolve --stdin > packets &
              quic-dial --bridge dial.sock < /dev/null &
              curl -x http://127.0.0.1:8080 http://KEY/
            """)

    /// The system's are some hundred kilobytes.
    private static let largestAuthorities = 8 << 20

    @OptionGroup var metricsFile: MetricsOptions

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("The Unix socket that quic-dial connects to; made with mode 0600.", valueName: "SOCKET"))
    var socket: String

    @Option(help: ArgumentHelp("Where to listen, at a loopback address; port 0 takes a free one.", valueName: "HOST:PORT"))
    var listen: HostAndPort

    @Option(help: ArgumentHelp(
        "File with a token that clients have to give as password, readable by its owner only. (default: every client at this machine may)",
        valueName: "FILE"))
    var tokenFile: String?

    @Flag(help: "Pass on requests for hosts that are no keys, as far as they are on the Internet. (default: refuse them)")
    var forwardOthers = false

    @Option(name: .customLong("allow-origin"), help: ArgumentHelp(
        "Pages of this origin may post forms and open WebSockets to all keys; may be repeated. (default: only to the key they came from)",
        valueName: "ORIGIN"))
    var origins: [OriginArgument] = []

    @Flag(help: "Take nobody for a homeserver who does not prove to have its key: no domain with a certificate. (default: take them too)")
    var requireKey = false

    @Flag(help: "Dial addresses of this machine and its networks that stand in packets. (default: refuse them)")
    var allowLocal = false

    @Option(name: .customLong("authorities"), help: ArgumentHelp(
        "PEM file with the certificates that vouch for domains. (default: the system's)", valueName: "FILE"))
    var authorities: String?

    @Flag(help: "Print a stream line for each connection to a homeserver, and for each that did not come about.")
    var streams = false

    @Option(help: ArgumentHelp("Time after which a homeserver counts as unreachable.", valueName: "DURATION"))
    var timeout: DurationArgument = "30s"

    @Option(help: ArgumentHelp("Time for a homeserver to begin its answer.", valueName: "DURATION"))
    var answerTimeout: DurationArgument = "60s"

    @Option(help: ArgumentHelp("Connections of clients at once.", valueName: "NUMBER"))
    var maxConnections = 8192

    func validate() throws {
        if maxConnections < 1 { throw ValidationError("--max-connections takes a number from 1 on") }
        if min(timeout.duration, answerTimeout.duration) <= .zero { throw ValidationError("--timeout and --answer-timeout take a duration longer than nothing") }
    }

    func execute(log: Log) throws -> ExitStatus {
        var settings = ProxySettings()
        settings.token = try tokenFile.map { ProxyToken(try TokenFile.read($0)) }
        settings.forwardsOthers = forwardOthers
        settings.origins = Set(origins.map(\.origin))
        settings.answerTime = answerTimeout.duration
        raiseOpenFileLimit()
        // Each may need two more: to the homeserver, and between TLS and plain. Whoever had all would keep everybody out.
        settings.mostConnections = min(maxConnections, max(1, (openFileLimit() - 64) / 3))
        let loop = EventLoop()
        let listener = try tcpListener(at: listen, on: loop, isPrivate: true)
        var output: OutputQueue?
        let connector = try connector(on: loop, log: log) { output?.write($0) }
        defer { connector.close() }
        let proxy: HTTPProxy
        do throws(SystemError) {
            let told = RecentTellings()
            proxy = try HTTPProxy(on: loop, listener: listener, upstream: connector, settings: settings) { report($0, told, to: log) }
        } catch { throw CommandError(.configuration, "can't watch \(listen): \(error.reason)") }
        defer { proxy.close() }
        let status = try StatusReport(on: loop, file: metricsFile.metrics, log: log) {
            """
            \(proxy.connectionCount) clients, \(proxy.idleUpstreamCount) idle connections to servers, \(proxy.counters.requests) requests, \
            \(proxy.counters.refused) refused, \(proxy.counters.failed) failed, \(proxy.counters.repeated) repeated
            """
        } figures: { Self.metrics(of: proxy) }
        defer { status.close() }
        // Whoever does not hear the questions will not answer.
        output = OutputQueue(on: loop) { connector.resolverHasGone() }
        let reader = packets(for: connector, on: loop, log: log)
        return try withExtendedLifetime(reader) {
            try tunnel_bridge.run(loop, ready: ["listening": .string("\(proxy.address)"), "socket": .string(socket)])
            return .done
        }
    }

    private func connector(on loop: EventLoop, log: Log, output: @escaping (JSONValue) -> Void) throws(CommandError) -> Connector {
        var settings = Connector.Settings()
        settings.requiresKey = requireKey
        settings.allowsLocal = allowLocal
        settings.timeout = timeout.duration
        if let authorities {
            do throws(SystemError) { settings.authorities = try readFile(authorities, limit: Self.largestAuthorities) } catch {
                throw CommandError(error.code == EACCES ? .permission : .configuration, "--authorities \(authorities): \(error.reason)")
            }
        }
        do throws(SystemError) {
            return try Connector(on: loop, socketPath: socket, settings: settings, want: output) { report($0, to: log, output) }
        } catch { throw socketError(socket, error) }
    }

    /// Packets come on standard input.
    private func packets(for connector: Connector, on loop: EventLoop, log: Log) -> ObjectReader {
        ObjectReader(on: loop) { event in
            switch event {
            case .object(let input):
                do throws(ObjectError) { try connector.take(input.object) } catch {
                    let error = CommandError(error, in: input)
                    log.error(error.message, hint: error.hint)
                }
            case .malformed(let error): log.error(error.message, hint: error.hint)
            case .end:
                log.debug("no more packets")
                connector.resolverHasGone()
            }
        }
    }

    private static func metrics(of proxy: HTTPProxy) -> String {
        var metrics = Metrics(prefix: "tunnel_bridge_proxy")
        metrics.add("clients", .gauge, "Clients that are connected.", proxy.connectionCount)
        metrics.add("idle_upstreams", .gauge, "Connections to servers that wait for another request.", proxy.idleUpstreamCount)
        metrics.add("connections_total", .counter, "Connections of clients.", proxy.counters.connections)
        metrics.add("requests_total", .counter, "Requests.", proxy.counters.requests)
        metrics.add("requests_refused_total", .counter, "Requests that were refused.", proxy.counters.refused)
        metrics.add("requests_failed_total", .counter, "Requests that came to nothing.", proxy.counters.failed)
        metrics.add("requests_repeated_total", .counter, "Requests that were sent again over a fresh connection.", proxy.counters.repeated)
        return metrics.text
    }

    private func report(_ event: Connector.Event, to log: Log, _ output: (JSONValue) -> Void) {
        switch event {
        case .handover(let event): tunnel_bridge.report(event, from: "quic-dial", to: log)
        case .failed(let host, let attempt): log.debug("\(host): \(attempt)")
        case .connected(let host, let connection, let after):
            log.debug("\(host): connected to \(connection.remote), path \(connection.path.rawValue), after \(Int(after.milliseconds)) ms")
            if streams { output(connection.line(for: host, after: after)) }
        case .unreachable(let host, let error): if streams { output(error.line(for: host)) }
        }
    }

    private func report(_ event: HTTPProxy.Event, _ told: RecentTellings, to log: Log) {
        switch event {
        case .refused(let reason): log.debug("a request was refused: \(reason)")
        case .unreachable(let name, let error): if told.isNews("\(name): \(error.message)") { log.error("\(name): \(error.message)") }
        case .failed(let what): if told.isNews(what) { log.error(what) }
        case .acceptFailed(let error): log.error("can't accept connections: \(error.reason)")
        }
    }
}

/// What was told lately: a page asks for the same fifty things in vain, and asks again; and one that means harm for others each time.
private final class RecentTellings {
    private static let memory: Duration = .seconds(60)
    private var texts = RecentlyUsed<String, Instant>(capacity: 256)
    private var budget = TokenBucket(Quota(1, each: .second, burst: 30)!)

    func isNews(_ text: String) -> Bool {
        let now = Instant.now
        if let told = texts.value(for: text), now - told < Self.memory { return false }
        guard budget.take(now: now) else { return false }
        texts.set(now, for: text)
        return true
    }
}

/// `--allow-origin` on the command line: an origin as browsers write it (RFC 6454, 6.2).
struct OriginArgument: ExpressibleByArgument {
    let origin: String

    init?(argument: String) {
        guard let scheme = ["http://", "https://"].first(where: { argument.hasPrefix($0) }), argument == argument.lowercased() else { return nil }
        let host = argument.dropFirst(scheme.count)
        guard !host.isEmpty, !host.contains(where: { "/?#@ ".contains($0) }) else { return nil }
        origin = argument
    }
}
