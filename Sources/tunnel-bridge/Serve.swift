import ArgumentParser
import EventLoop
import Glibc
import JSON
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
            """)

    /// A list of a hundred thousand keys.
    private static let largestAccessList = 8 << 20

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("The Unix socket that quic-listen connects to; made with mode 0600.", valueName: "SOCKET"))
    var socket: String

    @Option(help: ArgumentHelp("The server to connect to.", valueName: "HOST:PORT"))
    var to: HostAndPort

    @Option(help: ArgumentHelp(
        "Who may connect: one key a line, # begins a comment. Without it anybody may.", valueName: "FILE"))
    var access: String?

    func validate() throws {
        if to.port == 0 { throw ValidationError("--to needs a port other than 0") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let list = try access.map(Self.accessList)
        raiseOpenFileLimit()
        let loop = EventLoop()
        let bridge: ServerBridge
        do throws(SystemError) {
            bridge = try ServerBridge(on: loop, socketPath: socket, target: to, access: list) { report($0, to: log) }
        } catch { throw socketError(socket, error) }
        defer { bridge.close() }
        try tunnel_bridge.run(loop, ready: ["socket": .string(socket)])
        return .done
    }

    private func report(_ event: ServerBridge.Event, to log: Log) {
        switch event {
        case .handover(let event): tunnel_bridge.report(event, from: "quic-listen", to: log)
        case .denied(let peer): log.notice("access denied to \(peer?.zBase32 ?? "a peer without a key")")
        case .targetFailed(let error): log.error("can't connect to \(to): \(error.reason)")
        case .targetReached: log.notice("connected to \(to) again")
        }
    }

    private static func accessList(_ path: String) throws(CommandError) -> AccessList {
        let text: [UInt8]
        do throws(SystemError) { text = try readFile(path, limit: largestAccessList) } catch {
            throw CommandError(error.code == EACCES ? .permission : .configuration, "access list \(path): \(error.reason)")
        }
        do throws(AccessList.SyntaxError) { return try AccessList(parsing: text) } catch {
            throw CommandError(.configuration, "access list \(path), line \(error.line): \"\(error.text.prefix(80))\" is no key",
                               hint: "one key a line, in z-base-32 or hexadecimal; # begins a comment")
        }
    }
}
