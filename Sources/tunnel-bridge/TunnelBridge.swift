import ArgumentParser
import EventLoop
import Glibc
import JSON
import Platform
import Toolkit
import Tunnel

@main
struct TunnelBridge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tunnel-bridge",
        abstract: "Join TCP connections with the streams of quic-listen and quic-dial.",
        discussion: """
            Each connection is handed over as a descriptor on the Unix socket SOCKET, so no byte passes through the bridge, \
            but for serve --http. \
            quic-listen and quic-dial connect to SOCKET, in any order, and again whenever the bridge restarts.

            Examples:
              tunnel-bridge serve --socket gate.sock --to 127.0.0.1:6286
              tunnel-bridge connect --socket dial.sock --listen 127.0.0.1:8080
            """,
        version: toolkitVersion,
        subcommands: [Serve.self, Connect.self, Proxy.self])
}

/// Says that the bridge is ready and runs the loop until the process is told to end.
///
/// - Parameter endsOnHangUp: Whether SIGHUP ends it too.
func run(_ loop: EventLoop, ready line: JSONValue, endsOnHangUp: Bool = true) throws {
    // Before the line: whoever has read it may send a signal.
    let service = Service(on: loop, signals: [SIGTERM, SIGINT] + (endsOnHangUp ? [SIGHUP] : []))
    try StandardOutput.write(line)
    ServiceManager.tellReady()
    service.run()
}

/// A listening TCP socket.
///
/// - Parameter isPrivate: Whether only this machine may reach it.
func tcpListener(at place: HostAndPort, on loop: EventLoop, isPrivate: Bool = false) throws(CommandError) -> FileDescriptor {
    var found: Result<[SocketAddress], SystemError>?
    place.resolve(on: loop) { found = $0 }
    while found == nil { loop.runOnce() }
    guard case .success(let addresses)? = found, let address = addresses.first else {
        throw CommandError(.configuration, "can't find the address of \(place.host)")
    }
    if isPrivate && !address.ip.isLoopback {
        throw CommandError(.configuration, "\(address) can be reached from elsewhere", hint: "the proxy listens at this machine only, such as 127.0.0.1")
    }
    do throws(SystemError) { return try Sockets.tcpListener(bind: address) } catch {
        throw CommandError(error.code == EACCES ? .permission : .configuration, "can't listen at \(address): \(error.reason)")
    }
}

/// Why a bridge's socket can't be made.
func socketError(_ path: String, _ error: SystemError) -> CommandError {
    switch error.code {
    case EADDRINUSE:
        CommandError(.configuration, "socket \(path) is in use by another process, or is a file of another kind",
                     hint: "one bridge serves one socket; choose another path or stop the other bridge")
    case ENOENT: CommandError(.configuration, "socket \(path): its folder does not exist")
    case EACCES, EPERM, EROFS: CommandError(.permission, "socket \(path): \(error.reason)")
    case ENAMETOOLONG: CommandError(.configuration, "socket \(path): the path is longer than the 107 bytes a Unix socket may have")
    default: CommandError(.configuration, "socket \(path): \(error.reason)")
    }
}

/// Tells what happened on the hand-over socket.
func report(_ event: HandoverListener.Event, from command: String, to log: Log) {
    switch event {
    case .connected: log.debug("\(command) has connected")
    case .disconnected(.closedByPeer): log.debug("\(command) has gone")
    case .disconnected(let ending): log.error("a \(command) was disconnected: \(ending)")
    case .turnedAway(let reason): log.warning("a connection to the socket was turned away: \(reason)")
    case .acceptFailed(let error): log.error("can't take a connection to the socket: \(error.reason)")
    }
}
