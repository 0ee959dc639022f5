import Iroh
import Platform
import TOML

/// What of a Pubky homeserver's `config.toml` says how it is reached (spec/pkarr-wire.md, 4.4), and the `[discovery]` that a gateway adds to
/// it (6.3). Whatever is not written has the homeserver's own default.
public struct HomeserverConfiguration: Hashable, Sendable {
    /// Where it takes TLS with its raw public key, and where plain HTTP.
    public var tlsSocket = SocketAddress(ip: .v4(0x7f00_0001), port: 6287)
    public var httpSocket = SocketAddress(ip: .v4(0x7f00_0001), port: 6286)

    public var publicIP = IPAddress.v4(0x7f00_0001)
    /// Nil for the ports of the sockets.
    public var publicTLSPort: UInt16?
    public var publicHTTPPort: UInt16?
    public var icannDomain = "localhost"
    /// Nil for the public ones.
    public var bootstrapNodes: [HostAndPort]?
    public var relayNodes: [RelayURL]?

    /// Minutes between signing anew; nil when it is not written.
    public var publishMinutes: Int64?
    public var iroh = IrohSettings()

    /// What is allowed, but may not be meant.
    public var warnings: [ConfigurationProblem] = []

    /// `[discovery.iroh]`.
    public struct IrohSettings: Hashable, Sendable {
        /// Nil when it is not written.
        public var isEnabled: Bool?
        public var enabledPlace: TOMLPlace?
        public var relayURL: RelayURL?
        public var directAddresses: [SocketAddress] = []
        public var alpn: String?
        /// Seconds.
        public var timeToLive: Int64?
        /// Minutes between publishing.
        public var publishMinutes: Int64?

        public init() {}
    }

    public init() {}

    /// Reads a `config.toml`.
    ///
    /// - Throws: ``ConfigurationError`` with all that is wrong.
    public init(parsing document: [UInt8]) throws(ConfigurationError) {
        let root: TOMLValue
        do throws(TOMLSyntaxError) { root = try TOMLValue(parsing: document) } catch {
            throw ConfigurationError(problems: [ConfigurationProblem(place: error.place > .start ? error.place : nil, message: error.reason)])
        }
        let notes = ConfigurationNotes()
        let table = ConfigurationTable(document: root, notes: notes)
        readSockets(table)
        read(pkdns: table.table("pkdns"))
        read(discovery: table.table("discovery"))
        guard notes.problems.isEmpty else {
            throw ConfigurationError(problems: notes.problems.sorted { ($0.place ?? .start) < ($1.place ?? .start) })
        }
        warnings = notes.warnings.sorted { ($0.place ?? .start) < ($1.place ?? .start) }
    }

    private mutating func readSockets(_ root: ConfigurationTable) {
        let drive = root.table("drive")
        for (name, path) in [("pubky_listen_socket", \HomeserverConfiguration.tlsSocket), ("icann_listen_socket", \.httpSocket)] {
            guard let socket = drive.string(name, "ADDRESS:PORT", { SocketAddress($0) }) else { continue }
            self[keyPath: path] = socket
        }
        // Whoever may have these is on an access list, and not everybody (tunnel-bridge(1)).
        for (name, standard) in [("admin", 6288), ("metrics", 6289)] {
            let port = root.table(name).string("listen_socket", "ADDRESS:PORT") { SocketAddress($0) }?.port ?? UInt16(standard)
            for socket in ["pubky_listen_socket", "icann_listen_socket"] where drive.place(socket) != nil {
                let used = socket == "pubky_listen_socket" ? tlsSocket : httpSocket
                if used.port == port, port != 0 { drive.problem(socket, "port \(port) is that of [\(name)], which is not for everybody") }
            }
        }
    }

    private mutating func read(pkdns: ConfigurationTable) {
        publicIP = pkdns.string("public_ip", "an IP address") { IPAddress($0) } ?? publicIP
        publicTLSPort = pkdns.integer("public_pubky_tls_port", in: 0...65535, "a port").map { UInt16($0) }
        publicHTTPPort = pkdns.integer("public_icann_http_port", in: 0...65535, "a port").map { UInt16($0) }
        icannDomain = pkdns.string("icann_domain", "a domain") { isDomain($0) ? $0 : nil } ?? icannDomain
        bootstrapNodes = pkdns.strings("dht_bootstrap_nodes", "HOST:PORT") { HostAndPort($0) }
        relayNodes = pkdns.strings("dht_relay_nodes", "an http or https URL") { RelayURL($0) }
        for name in ["dht_request_timeout_ms", "relay_request_timeout_ms"] {
            _ = pkdns.integer(name, in: 1...Int64.max, "milliseconds")
        }
        if let seconds = pkdns.integer("user_keys_republisher_interval", in: 0...Int64.max, "seconds"), (1..<1800).contains(seconds) {
            pkdns.warning("user_keys_republisher_interval", "\(seconds) seconds; the homeserver takes at least 1800")
        }
        if bootstrapNodes != nil, !usesPublicNetwork, relayNodes == nil {
            pkdns.warning("dht_bootstrap_nodes", "names a network of its own, but the public relays stay in use; to leave them out: dht_relay_nodes = []")
        }
        pkdns.warnOfOthers()
    }

    private mutating func read(discovery: ConfigurationTable) {
        publishMinutes = discovery.integer("pkarr_publish_interval_minutes", in: Self.minutes, "minutes")
        let table = discovery.table("iroh")
        iroh.isEnabled = table.boolean("enabled")
        iroh.enabledPlace = table.place("enabled")
        iroh.relayURL = table.string("relay_url", "an http or https URL") { RelayURL($0) }
        iroh.directAddresses = table.strings("direct_addresses", "quic://ADDRESS:PORT with an IP address (a name is never announced)", directAddress) ?? []
        iroh.alpn = table.string("alpn", "a protocol's name: 1 to 255 characters of printable ASCII") { isProtocol($0) ? $0 : nil }
        iroh.timeToLive = table.integer("txt_ttl_seconds", in: 1...Int64(UInt32.max), "seconds")
        iroh.publishMinutes = table.integer("publish_interval_minutes", in: Self.minutes, "minutes")
        discovery.warnOfOthers()
        table.warnOfOthers()
    }

    /// A year at most.
    private static let minutes: ClosedRange<Int64> = 1...525_600

    private var usesPublicNetwork: Bool {
        let known = ["router.bittorrent.com", "dht.transmissionbt.com", "dht.libtorrent.org", "relay.pkarr.org"]
        return bootstrapNodes?.contains { known.contains($0.host) } ?? true
    }
}

extension TOMLPlace {
    fileprivate static let start = TOMLPlace(line: 0, column: 0)
}

/// Letters, digits, `-` and `_` in labels of at most 63, at most 253 characters.
private func isDomain(_ text: String) -> Bool {
    let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return text.utf8.count <= 253 && labels.allSatisfy { label in
        (1...63).contains(label.count) && label.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
    }
}

private func directAddress(_ text: String) -> SocketAddress? {
    guard text.hasPrefix("quic://"), let address = SocketAddress(text.dropFirst(7)), address.port != 0, !address.ip.isUnspecified else { return nil }
    return address
}

private func isProtocol(_ text: String) -> Bool { (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) } }
