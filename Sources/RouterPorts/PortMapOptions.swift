import ArgumentParser

/// Whether routers are asked to open ports.
public struct PortMapOptions: ParsableArguments {
    @Flag(name: .customLong("no-port-map"), help: "Don't ask the router to send on what comes to a port of it.")
    public var isOff = false

    public init() {}
}
