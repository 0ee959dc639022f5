import ArgumentParser
import EventLoop
import Glibc
import JSON
import Platform
import PortMapping
import Toolkit

extension MappingProtocol: ExpressibleByArgument {}

@main
struct PortMap: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "port-map",
        abstract: "Have a router send on what comes to a UDP port.",
        discussion: """
            Asks the router of this network by PCP, NAT-PMP or UPnP, and keeps what it was promised until it is told to end. Prints a line \
            each time that a port is mapped, mapped to another address, or not mapped any more. quic-listen starts it by itself.

            Examples:
              port-map --udp 4433
              port-map --udp 4433 --protocol upnp
              port-map --look
            """,
        version: toolkitVersion)

    @Option(name: .customLong("udp"), help: ArgumentHelp("UDP port of this host to have mapped; may be repeated.", valueName: "port"))
    var ports: [UInt16] = []

    @Option(name: .customLong("protocol"), help: ArgumentHelp(
        "How to ask the router; may be repeated, and they are tried in this order.", valueName: "pcp|natpmp|upnp"))
    var protocols: [MappingProtocol] = []

    @Flag(help: "Map nothing: tell which protocols the router speaks, and its public address.")
    var look = false

    @Option(help: ArgumentHelp("How often to look whether the mappings are still there.", valueName: "duration"))
    var every: DurationArgument = "1m"

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if look {
            guard ports.isEmpty else { throw ValidationError("--look maps nothing, so it takes no --udp") }
            return
        }
        if ports.isEmpty || ports.contains(0) { throw ValidationError("give the port to be mapped with --udp PORT") }
        if ports.count > Self.mostPorts { throw ValidationError("at most \(Self.mostPorts) ports are mapped") }
        if every.duration < .seconds(1) { throw ValidationError("--every has to be a second or more") }
    }

    /// A handful is what an endpoint has; each costs the router memory.
    private static let mostPorts = 16

    func execute(log: Log) throws -> ExitStatus {
        var wanted: [MappingProtocol] = []
        for one in protocols.isEmpty ? MappingProtocol.allCases : protocols where !wanted.contains(one) { wanted.append(one) }
        if look { return try RouterLook.run(wanted) }
        let loop = EventLoop()
        let service = Service(on: loop)
        let mapper = PortMapper(ports: ports, protocols: wanted, interval: every.duration, now: .now)
        let keeper = MappingKeeper(mapper, on: service, log: log)
        keeper.start()
        let end = endOfInput(on: loop) { service.finish(.done) }
        let status = withExtendedLifetime(end) { service.run() }
        try keeper.withdraw()
        return status
    }

    /// Whoever started us with a pipe and has gone, however that came about, needs no mapping any more.
    private func endOfInput(on loop: EventLoop, _ handler: @escaping () -> Void) -> Watcher? {
        guard let status = try? FileStatus(of: STDIN_FILENO), status.isPipe || status.isSocket else { return nil }
        let watcher = try? Watcher(on: loop, STDIN_FILENO) { _ in
            if ((try? readBytes(STDIN_FILENO, count: 4096)) ?? []).isEmpty { handler() }
        }
        watcher?.wait(for: .readable)
        return watcher
    }
}
