import ArgumentParser
import DNSServer
import EventLoop
import Pkarr
import PkarrRelay
import Platform
import Toolkit

/// The door for ordinary DNS.
struct DNSOptions: ParsableArguments {
    @Option(name: .customLong("dns"), help: ArgumentHelp(
        "Where to answer DNS questions for names under keys (UDP and TCP; repeatable; default: nowhere).", valueName: "ADDR:PORT"))
    var bindings: [SocketAddress] = []

    @Option(name: .customLong("dns-suffix"), help: ArgumentHelp(
        "A domain in which keys are found, too, as KEY.NAME (repeatable; default: key).", valueName: "NAME"))
    var suffixes: [SuffixArgument] = []

    @Option(name: .customLong("dns-forward"), help: ArgumentHelp(
        "A DNS server for all other questions (repeatable; default: they are refused).", valueName: "ADDR:PORT"))
    var forwarders: [SocketAddress] = []

    @Option(name: .customLong("dns-forward-for"), help: ArgumentHelp(
        "Whose other questions are forwarded (repeatable; default: local networks).", valueName: "ADDR[/LENGTH]"))
    var clients: [AddressRange] = []

    @Option(name: .customLong("limit-dns"), help: ArgumentHelp("DNS questions of one address.", valueName: "QUOTA"))
    var limitDNS = QuotaArgument(NameServer.Configuration().questions!)

    func validate() throws {
        if forwarders.isEmpty, !clients.isEmpty { throw ValidationError("--dns-forward-for needs --dns-forward") }
        if let server = forwarders.first(where: { $0.port == 0 || $0.ip.isUnspecified }) {
            throw ValidationError("--dns-forward \(server): not an address that can be asked")
        }
    }

    /// What a service manager has opened belongs to the door as if it had been asked for.
    func check(with sockets: ServiceSockets) throws(CommandError) {
        let addresses = bindings + sockets.dns.map(\.address)
        if addresses.isEmpty, !suffixes.isEmpty || !forwarders.isEmpty {
            throw CommandError(.usage, "--dns-suffix and --dns-forward need --dns")
        }
        if let server = forwarders.first(where: addresses.contains) {
            throw CommandError(.usage, "--dns-forward \(server) is this server itself")
        }
    }

    /// Opens the door, if it is asked for.
    func open(
        on loop: EventLoop, _ relay: PkarrRelay, _ limits: LimitOptions, _ sockets: ServiceSockets, log: Log
    ) throws(CommandError) -> DNSServer? {
        let places = bindings.map { DNSServer.Place.address($0) } + sockets.dns.map { .sockets(udp: $0.udp, tcp: $0.tcp) }
        if places.isEmpty { return nil }
        var configuration = NameServer.Configuration()
        if !suffixes.isEmpty { configuration.suffixes = suffixes.map(\.name) }
        configuration.forwardsFor = clients.isEmpty ? AddressRange.localNetworks : clients
        configuration.questions = limitDNS.quota
        configuration.lookUps = limits.limitLookups.quota
        configuration.exempt = limits.exempt ?? AddressRange.loopback
        let source = DNSServer.PacketSource { [unowned relay] key in
            relay.cachedPacket(of: key).map { SeenPacket(packet: $0.packet, lastSeen: $0.lastSeen) }
        } lookUp: { [unowned relay] key, old, completion in
            relay.find(key, notOlderThan: old) { finding in
                switch finding {
                case .found(let packet): completion(.found(SeenPacket(packet: packet, lastSeen: WallClock.microseconds)))
                case .nobodyHasIt: completion(.nobodyHasIt)
                case .unreachable(let reason): completion(.unreachable(reason))
                }
            }
        }
        do throws(DNSServer.BindError) {
            return try DNSServer(on: loop, at: places, configuration, forwardingTo: forwarders, source: source) { error in
                log.warning("can't take DNS connections over TCP: \(error.reason)")
            }
        } catch {
            let place = if case .address(let address) = error.place { "--dns \(address)" } else { "a socket for DNS" }
            throw CommandError(.configuration, "\(place): \(error.error.reason)")
        }
    }
}

/// A domain name on the command line.
struct SuffixArgument: ExpressibleByArgument {
    let name: DomainName

    init?(argument: String) {
        guard let name = try? DomainName(target: argument), name != .root else { return nil }
        self.name = name
    }
}
