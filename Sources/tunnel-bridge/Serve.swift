import ArgumentParser
import EventLoop
import Glibc
import JSON
import Metrics
import Platform
import Toolkit
import Tunnel

/// The bridge beside a server.
struct Serve: ToolkitCommand {
    static let configuration = CommandConfiguration(
        abstract: "Connect each stream of quic-listen to a server.",
        discussion: """
            Prints {"socket":"SOCKET"} when it listens there. Ends cleanly on SIGTERM; connections that were handed over go on.

            Example:
              tunnel-bridge serve --socket /run/keyhole/gateway.sock --to 127.0.0.1:6287 &
              quic-listen --key secret --bridge /run/keyhole/gateway.sock

            A homeserver's plain HTTP, and its TLS for clients that want it inside the tunnel:
              tunnel-bridge serve --socket gateway.sock --http --to 127.0.0.1:6286 --tls-to 127.0.0.1:6287

            A line of an access list:
              KEY permitopen="127.0.0.1:6286,127.0.0.1:8080" maxstreams=32 streamrate=10r/s maxbytes=20G expires=2027-01-31
            """)

    /// A list of a hundred thousand keys.
    private static let largestAccessList = 8 << 20

    @OptionGroup var metricsFile: MetricsOptions

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("The Unix socket that quic-listen connects to; made with mode 0600.", valueName: "SOCKET"))
    var socket: String

    @Option(help: ArgumentHelp(
        "The server to connect to, or the one for an application protocol; may be repeated. (default: each key's first permitopen)",
        valueName: "[ALPN=]HOST:PORT"))
    var to: [RouteArgument] = []

    @Option(help: ArgumentHelp(
        "Who may connect, and what they may do: one key a line, options behind it. Read again when it changes. (default: anybody)",
        valueName: "FILE"))
    var access: String?

    @Flag(help: ArgumentHelp(
        "The server takes plain HTTP: tell it in each request which key the client has proved, and nothing that the client says of itself."))
    var http = false

    @Option(help: ArgumentHelp("With --http: where streams go that begin with TLS, such as the homeserver's port 6287.", valueName: "HOST:PORT"))
    var tlsTo: HostAndPort?

    @Flag(help: "Tell the server who comes, by a PROXY protocol header (version 2).")
    var proxyProtocol = false

    func validate() throws {
        if to.isEmpty && access == nil { throw ValidationError("give --to HOST:PORT, or an access list that says where each key may go") }
        if tlsTo != nil && !http { throw ValidationError("--tls-to is for streams beside those of --http; without it --to takes TLS too") }
        if tlsTo?.port == 0 { throw ValidationError("--tls-to: port 0 is no port to connect to") }
        let protocols = to.map(\.route.alpn)
        if Set(protocols).count < protocols.count { throw ValidationError("give one --to for each protocol, and one without") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let targets = to.map(\.route.target) + (tlsTo.map { [$0] } ?? [])
        if access == nil, let target = targets.first(where: { AccessControl.privatePorts[$0.port] != nil }), let what = AccessControl.privatePorts[target.port] {
            throw CommandError(
                .usage, "\(target) is the homeserver's \(what) port, which is not for everybody",
                hint: "name who may have it on an access list: KEY permitopen=\"\(target)\"")
        }
        let list = try access.map(Self.accessList)
        raiseOpenFileLimit()
        let loop = EventLoop()
        let bridge: ServerBridge
        do throws(SystemError) {
            let control = AccessControl(routes: to.map(\.route), http: http ? .init(tlsTarget: tlsTo) : nil, list: list)
            bridge = try ServerBridge(on: loop, socketPath: socket, control: control, tellsPeer: proxyProtocol) { report($0, to: log) }
        } catch { throw socketError(socket, error) }
        defer { bridge.close() }
        let watching = try access.map { try AccessListWatch($0, on: loop, log: log) { bridge.setList(try Self.accessList($0)) } }
        let status = try StatusReport(on: loop, file: metricsFile.metrics, log: log) {
            "\(bridge.served) streams served, \(bridge.refusals.text)"
        } figures: {
            var metrics = Metrics(prefix: "tunnel_bridge_serve")
            metrics.add("streams_served_total", .counter, "Streams that got a connection to their target.", bridge.served)
            if http {
                metrics.add("streams_passing", .gauge, "Streams that pass through the bridge.", bridge.passing)
                metrics.add("answers_total", .counter, "Requests that the bridge has answered in the server's place, by status.",
                            bridge.answers.sorted { $0.key < $1.key }.map { (labels: [("status", "\($0.key)")], value: $0.value) })
            }
            bridge.refusals.write(to: &metrics)
            return metrics.text
        }
        defer { status.close() }
        return try withExtendedLifetime(watching) {
            try tunnel_bridge.run(loop, ready: ["socket": .string(socket)], endsOnHangUp: access == nil)
            return .done
        }
    }

    private func report(_ event: ServerBridge.Event, to log: Log) {
        switch event {
        case .handover(let event): tunnel_bridge.report(event, from: "quic-listen", to: log)
        case .denied(let peer, .unknown): log.notice("access denied to \(peer?.zBase32 ?? "a peer without a key")")
        case .denied(let peer, let reason): log.notice("\(peer?.zBase32 ?? "a peer without a key") was refused: \(reason)")
        case .targetFailed(let target, let error): log.error("can't connect to \(target): \(error.reason)")
        case .targetReached(let target): log.notice("connected to \(target) again")
        }
    }

    private static func accessList(_ path: String) throws(CommandError) -> AccessList {
        let text: [UInt8]
        do throws(SystemError) { text = try readFile(path, limit: largestAccessList) } catch {
            throw CommandError(error.code == EACCES ? .permission : .configuration, "access list \(path): \(error.reason)")
        }
        do throws(AccessList.SyntaxError) { return try AccessList(parsing: text) } catch {
            throw CommandError(.configuration, "access list \(path), line \(error.line): \(error.reason)",
                               hint: "one key a line, in z-base-32 or hexadecimal, options behind it; # begins a comment")
        }
    }
}

/// `--to` on the command line.
struct RouteArgument: ExpressibleByArgument {
    let route: AccessControl.Route

    init?(argument: String) {
        guard let route = AccessControl.Route(argument) else { return nil }
        self.route = route
    }
}

/// Has the access list read again after SIGHUP and when the file has changed. One that is wrong changes nothing.
final class AccessListWatch {
    /// Writing a file takes more than one step.
    private static let pause: Duration = .milliseconds(100)

    private var signals: SignalWatcher?
    private var file: FileWatcher?
    private var timer: Timer?

    init(_ path: String, on loop: EventLoop, log: Log, _ read: @escaping (String) throws -> Void) throws(CommandError) {
        let timer = Timer(on: loop) {
            do {
                try read(path)
                log.notice("access list \(path) was read again")
            } catch let error as CommandError {
                log.error("\(error.message); the former list stays", hint: error.hint)
            } catch { preconditionFailure("no other error is thrown: \(error)") }
        }
        self.timer = timer
        signals = SignalWatcher(on: loop, SIGHUP) { timer.start(after: .zero) }
        do throws(SystemError) { file = try FileWatcher(on: loop, path) { timer.start(after: Self.pause) } } catch {
            throw CommandError(.configuration, "access list \(path) can't be watched: \(error.reason)")
        }
    }
}
