import ArgumentParser
import Discovery
import EventLoop
import HTTPClient
import Mainline
import Platform
import StateOptions
import Toolkit

extension RelayURL: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Where a command publishes and looks: options, then the environment, then the public network.
public struct SourceOptions: ParsableArguments {
    @Option(name: .customLong("relay"), help: ArgumentHelp(
        "A pkarr relay (repeatable; default: PKARR_RELAYS, else the public ones).", valueName: "URL"))
    public var relays: [RelayURL] = []

    @Flag(help: "Use no relays.")
    public var noRelays = false

    @Option(name: .customLong("bootstrap"), help: ArgumentHelp(
        "A node to enter the DHT through (repeatable; default: PKARR_BOOTSTRAP, else the public network's).", valueName: "HOST:PORT"))
    public var bootstraps: [HostAndPort] = []

    @Flag(name: .customLong("no-dht"), help: "Do not use the DHT.")
    public var noDHT = false

    @Flag(help: "Publish and look in a Pubky testnet on this machine: localhost:6881 and http://localhost:15411.")
    public var testnet = false

    @OptionGroup public var memory: StateOptions

    public init() {}

    public func validate() throws {
        if noRelays, !relays.isEmpty { throw ValidationError("--relay and --no-relays exclude each other") }
        if noDHT, !bootstraps.isEmpty { throw ValidationError("--bootstrap and --no-dht exclude each other") }
        if noDHT, noRelays { throw ValidationError("--no-dht and --no-relays together leave nowhere to go") }
    }

    /// Where pubky-testnet has them (spec/pkarr-wire.md, section 7).
    private static let testnetRelay = RelayURL("http://localhost:15411")!
    private static let testnetNode = HostAndPort("localhost:6881")!

    /// Opens what was asked for.
    ///
    /// - Throws: ``CommandError`` for a variable of the environment that can't be read, and when there is nothing to use.
    public func open(on loop: EventLoop, log: Log) throws(CommandError) -> Sources {
        let http = HTTPClient(on: loop)
        let relays = try noRelays ? [] : chosen(relays.isEmpty && testnet ? [Self.testnetRelay] : relays, "PKARR_RELAYS", "an http or https URL", default: RelayURL.publicRelays) { RelayURL($0) }
        let bootstraps = try noDHT
            ? [] : chosen(bootstraps.isEmpty && testnet ? [Self.testnetNode] : bootstraps, "PKARR_BOOTSTRAP", "HOST:PORT", default: DHTNode.publicNetwork) { HostAndPort($0) }
        guard !relays.isEmpty || !bootstraps.isEmpty else {
            throw CommandError(.usage, "neither a relay nor a bootstrap node to use", hint: "give --relay or --bootstrap")
        }
        var node: DHTNode?
        if !bootstraps.isEmpty {
            let memory = try self.memory.open().map { NodeFiles(in: $0.path) { log.warning($0) } }
            do throws(DHTNode.BindError) {
                node = try DHTNode(on: loop, at: addresses(bootstraps, memory).map { .address($0) }, bootstrap: bootstraps, mode: .client, memory: memory)
            } catch { throw CommandError(.configuration, "can't open a socket for the DHT: \(error.error)") }
        }
        return Sources(dht: node, relays: relays.map { RelayClient($0, http: http, on: loop) })
    }
}

/// Where a client binds: to IPv6 too if that leads anywhere.
private func addresses(_ bootstraps: [HostAndPort], _ memory: NodeFiles?) -> [SocketAddress] {
    let v4 = SocketAddress(ip: .v4(0), port: 0), v6 = SocketAddress(ip: .v6(high: 0, low: 0), port: 0)
    let literals = bootstraps.map { IPAddress($0.host) }
    let hasV6 = literals.contains { $0?.isV6 == true } || memory?.exist(isV6: true) == true
        || literals.contains(nil) && Sockets.hasRoute(to: publicV6)
    return hasV6 ? [v4, v6] : [v4]
}

/// Some address of the IPv6 Internet, to ask the kernel for a way there; nothing is sent (2000::/3 is where global addresses are).
private let publicV6 = SocketAddress(ip: .v6(high: 0x2000_0000_0000_0000, low: 1), port: 6881)
