import Crypto
import JSON
import Pkarr
import Platform
import TOML
import TestSupport
import Testing

@testable import Homeserver

private func read(_ text: String) throws(ConfigurationError) -> HomeserverConfiguration { try HomeserverConfiguration(parsing: Array(text.utf8)) }

/// What is wrong with a configuration, a line for each.
private func problems(_ text: String) throws -> [String] {
    try thrownError(ConfigurationError.self) { try read(text) }.problems.map(\.description)
}

private func settings(_ text: String) throws -> [String] {
    try read(text).gatewaySettings().map { "\($0.name)=\($0.value)" }
}

private let vectors = readVectors()

private func readVectors() -> [JSONObject] {
    let path = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors/packets.json"
    return try! JSONValue(parsing: try! readFile(path, limit: 1 << 20)).objectValue!["packets"]!.arrayValue!.map { $0.objectValue! }
}

private let published: [(name: String, text: String)] = [
    ("homeserver-testnet", ""),
    ("homeserver-testnet", "[drive]\npubky_listen_socket = \"0.0.0.0:6287\"\nicann_listen_socket = \"0.0.0.0:6286\"\n"),
    ("homeserver-testnet", "[drive]\npubky_listen_socket = \"[::]:1\"\nicann_listen_socket = \"[::]:2\"\n[pkdns]\npublic_pubky_tls_port = 6287\npublic_icann_http_port = 6286\n"),
    ("homeserver-icann-domain", "[pkdns]\npublic_ip = \"34.65.156.171\"\nicann_domain = \"homeserver.pubky.app\"\npublic_icann_http_port = 80\n"),
]

@Test("the records are byte for byte those of the homeserver", arguments: published)
func records(_ name: String, _ text: String) throws {
    let vector = try #require(vectors.first { $0["name"]?.stringValue == name })
    let key = SecretKey(seed: bytes(hexadecimal: vector["secret_key"]!.stringValue!)!)!
    let set = try RecordSet(json: try read(text).records(), for: key.publicKey)
    let packet = try SignedPacket(
        signing: DNSMessage(answers: set.records), timestamp: UInt64(vector["timestamp"]!.integerValue!), with: key)
    #expect(base64(packet.payload) == vector["payload"]?.stringValue)
}

@Test("an IPv6 address is published as such: in the hint, and as the only address")
func ipv6() throws {
    let key = SecretKey(seed: [UInt8](repeating: 0, count: 32))!
    let records = try RecordSet(json: try read("[pkdns]\npublic_ip = \"2001:db8::7\"\n").records(), for: key.publicKey).records
    #expect(records.map { hexadecimal($0.rdata) } == [
        "00010000030002188f0006001020010db8000000000000000000000007", "000a096c6f63616c686f737400ff000002188e", "20010db8000000000000000000000007",
    ])
    #expect(records.map(\.type) == [.https, .https, .aaaa])
}

private let here = ["target=127.0.0.1:6286", "http=yes", "tls-target=127.0.0.1:6287"]

@Test("without anything written, a gateway is told where the homeserver is, and nothing else")
func defaults() throws { #expect(try settings("") == here) }

@Test("the options for the endpoint become the gateway's")
func irohOptions() throws {
    #expect(try settings("""
        [drive]
        icann_listen_socket = "[::]:80"
        pubky_listen_socket = "127.0.0.1:0"
        [discovery]
        pkarr_publish_interval_minutes = 30
        [discovery.iroh]
        enabled = true
        relay_url = "HTTPS://Relay.example"
        direct_addresses = ["quic://203.0.113.7:4433", "quic://[2001:db8::7]:4433"]
        alpn = "my/1"
        txt_ttl_seconds = 300
        publish_interval_minutes = 10
        """) == [
            "target=[::1]:80", "http=yes", "address=203.0.113.7:4433", "address=[2001:db8::7]:4433", "iroh-relay=https://relay.example/", "alpn=my/1",
            "ttl=300s", "watch=10m", "refresh=10m", "rebuild=30m",
        ])
}

private let beats: [(line: String, settings: [String])] = [
    ("pkarr_publish_interval_minutes = 2", ["watch=2m", "refresh=2m", "rebuild=2m"]),
    ("pkarr_publish_interval_minutes = 120", ["watch=5m", "refresh=5m", "rebuild=120m"]),
    ("iroh.publish_interval_minutes = 7", ["watch=7m", "refresh=7m"]),
    ("iroh.publish_interval_minutes = 90", ["watch=60m", "refresh=60m"]),
]

@Test("the shorter interval counts, and each has its default", arguments: beats)
func intervals(_ line: String, _ expected: [String]) throws {
    #expect(try settings("[discovery]\n\(line)\n") == here + expected)
}

@Test("the network is the one that is written")
func network() throws {
    let own = """
        [pkdns]
        dht_bootstrap_nodes = ["localhost:6881", "[::1]:7"]
        dht_relay_nodes = ["http://127.0.0.1:15411/"]
        """
    #expect(try settings(own).dropFirst(3) == ["bootstrap=localhost:6881", "bootstrap=[::1]:7", "relay=http://127.0.0.1:15411/"])
    #expect(try settings("[pkdns]\ndht_relay_nodes = []\n").dropFirst(3) == ["relays=no"])
}

@Test("what is wrong is told with its place, all of it, in the order of the lines")
func wrong() throws {
    #expect(try problems("""
        [pkdns]
        public_ip = "home.example"
        public_pubky_tls_port = 65536
        icann_domain = "no domain"
        dht_bootstrap_nodes = ["a:1", "b", 3]
        dht_relay_nodes = "https://pkarr.pubky.app"
        dht_request_timeout_ms = 0
        user_keys_republisher_interval = -1
        """) == [
            "line 2, column 1: pkdns.public_ip: expected an IP address, found \"home.example\"",
            "line 3, column 1: pkdns.public_pubky_tls_port: expected a port, 0 to 65535, found 65536",
            "line 4, column 1: pkdns.icann_domain: expected a domain, found \"no domain\"",
            "line 5, column 31: pkdns.dht_bootstrap_nodes: expected HOST:PORT, found \"b\"",
            "line 5, column 36: pkdns.dht_bootstrap_nodes: expected HOST:PORT, found 3",
            "line 6, column 1: pkdns.dht_relay_nodes: expected an array, found a string",
            "line 7, column 1: pkdns.dht_request_timeout_ms: expected milliseconds, 1 to 9223372036854775807, found 0",
            "line 8, column 1: pkdns.user_keys_republisher_interval: expected seconds, 0 to 9223372036854775807, found -1",
        ])
}

@Test("a wrong value is refused", arguments: [
    "pkdns = 1", "[drive]\npubky_listen_socket = \"localhost:1\"", "[drive]\nicann_listen_socket = 6286",
    "[admin]\nlisten_socket = \"6288\"", "[discovery.iroh]\nenabled = \"yes\"", "[discovery.iroh]\nrelay_url = \"relay.example\"",
    "[discovery.iroh]\ndirect_addresses = [\"203.0.113.7:4433\"]", "[discovery.iroh]\ndirect_addresses = [\"quic://home.example:4433\"]",
    "[discovery.iroh]\ndirect_addresses = [\"quic://0.0.0.0:4433\"]", "[discovery.iroh]\ndirect_addresses = [\"quic://1.2.3.4:0\"]",
    "[discovery.iroh]\nalpn = \"\"", "[discovery.iroh]\nalpn = \"a b\"", "[discovery.iroh]\ntxt_ttl_seconds = 0",
    "[discovery.iroh]\npublish_interval_minutes = 0", "[discovery]\npkarr_publish_interval_minutes = 0.5", "[discovery]\niroh = true",
    "[pkdns]\nicann_domain = \"a..b\"", "[pkdns]\nicann_domain = \"\"",
])
func refused(_ text: String) throws { #expect(try problems(text).count == 1) }

@Test("neither socket may be one that is not for everybody", arguments: [
    "[drive]\nicann_listen_socket = \"127.0.0.1:6288\"", "[drive]\npubky_listen_socket = \"127.0.0.1:6289\"",
    "[drive]\nicann_listen_socket = \"0.0.0.0:7000\"\n[admin]\nlisten_socket = \"127.0.0.1:7000\"",
])
func privatePorts(_ text: String) throws { #expect(try problems(text).first?.contains("which is not for everybody") == true) }

@Test("what may not be meant is warned about, what the homeserver has besides is not")
func warnings() throws {
    let configuration = try read("""
        [general]
        signup_mode = "open"
        [pkdns]
        publik_ip = "203.0.113.7"
        dht_bootstrap_nodes = ["localhost:6881"]
        user_keys_republisher_interval = 60
        [discovery.iroh]
        relay = "https://relay.example/"
        """)
    #expect(configuration.warnings.map(\.place?.line) == [4, 5, 6, 8])
    #expect(configuration.warnings.first?.message == "pkdns.publik_ip is not known, and ignored")
    #expect(try read("[pkdns]\ndht_bootstrap_nodes = [\"relay.pkarr.org:6881\"]\n").warnings.isEmpty)
}

@Test("a gateway that is switched off has no settings, and says where")
func switchedOff() throws {
    let problem = try thrownError(ConfigurationProblem.self) { try settings("[discovery.iroh]\nenabled = false\n") }
    #expect(problem.place == TOMLPlace(line: 2, column: 1))
}

@Test("a port that is another one each time can be neither published nor connected to")
func unknownPorts() throws {
    let text = "[drive]\npubky_listen_socket = \"127.0.0.1:0\"\nicann_listen_socket = \"127.0.0.1:0\"\n"
    _ = try thrownError(ConfigurationProblem.self) { try read(text).records() }
    _ = try thrownError(ConfigurationProblem.self) { try settings(text) }
}
