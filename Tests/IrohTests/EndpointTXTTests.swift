import Crypto
import JSON
import Pkarr
import Platform
import TestSupport
import Testing

@testable import Iroh

private let key = SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))!.publicKey

private func published(_ strings: [String], at owner: String = "_iroh", type: String = "TXT") throws -> PublishedEndpoint? {
    let records = strings.map { string in
        JSONValue.object(JSONObject(members: [("name", .string(owner)), ("type", .string(type)), ("ttl", 30), ("strings", [.string(string)])]))
    }
    return PublishedEndpoint(try RecordSet(json: JSONObject(members: [("records", .array(records))]), for: key))
}

/// What the real resolver made of a set of strings, where only the strings decide.
private let resolverRuns: [(variant: String, strings: [String], accepted: Bool)] = {
    let otherReasons: Set = [
        "unknown TXT strings under another name only", "upper case name _IROH", "DNS packet > 1000 bytes", "bad signature", "empty",
    ]
    return vectorFile("iroh-txt-accepted.jsonl").split(separator: 0x0a).map { try! JSONValue(parsing: $0).objectValue! }
        .filter { !otherReasons.contains($0["variant"]!.stringValue!) }
        .map { run in
            let strings = try! run.strings("txt").map { $0.hasSuffix(":PORT") ? String($0.dropLast(4)) + "4444" : $0 }
            return (run["variant"]!.stringValue!, strings, run["result"] == "accepted")
        }
}()

@Test("what real iroh dials is read without complaint of a refusal, what it doesn't is warned about", arguments: 0..<resolverRuns.count)
func resolverRun(_ index: Int) throws {
    let run = resolverRuns[index]
    let endpoint = try #require(try published(run.strings))
    let refused = endpoint.warnings.contains { if case .refusedByIroh = $0 { true } else { false } }
    if run.accepted {
        #expect(!refused && endpoint.address.addresses.contains(SocketAddress("127.0.0.1:4444")!))
    } else {
        #expect(refused || endpoint.address.addresses.isEmpty, "\(run.variant)")
        #expect(!endpoint.warnings.isEmpty)
    }
}

@Test("an endpoint is written as iroh writes it: relays, addresses, user data, one string a record")
func written() throws {
    let address = EndpointAddress(
        id: key, relayURLs: [RelayURL("https://relay.example")!], addresses: [SocketAddress("[2001:db8::7]:4444")!, SocketAddress("1.2.3.4:5")!],
        userData: "hello")
    let set = try address.records(timeToLive: 30)
    #expect(JSONValue.object(set.json).text == """
        {"public_key":"df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo","records":[\
        {"name":"_iroh","type":"TXT","ttl":30,"strings":["relay=https://relay.example/"]},\
        {"name":"_iroh","type":"TXT","ttl":30,"strings":["addr=[2001:db8::7]:4444"]},\
        {"name":"_iroh","type":"TXT","ttl":30,"strings":["addr=1.2.3.4:5"]},\
        {"name":"_iroh","type":"TXT","ttl":30,"strings":["user-data=hello"]}]}
        """)
    let read = try #require(PublishedEndpoint(set))
    #expect(read.address == address && read.warnings.isEmpty)
}

@Test("the packet that real iroh published for a relay comes out byte for byte")
func realIrohMessage() throws {
    let file = try JSONValue(parsing: vectorFile("packets.json")).objectValue!
    let entry = file["extra"]!.objectValue!["real_iroh"]!.arrayValue![0].objectValue!
    let payload = bytes(hexadecimal: entry["relay_payload_hex"]!.stringValue!)!
    let packet = try SignedPacket(publicKey: key, payload: payload)
    let address = EndpointAddress(id: key, relayURLs: [RelayURL("http://127.0.0.1:3340/")!])
    #expect(DNSMessage(answers: try address.records(timeToLive: 30).records).wire == packet.message)
}

@Test("a value that iroh would cut or drop is not written", arguments: [
    (EndpointAddress(id: key, relayURLs: [RelayURL("https://h/?a=b")!]), "relay_urls[0]"),
    (EndpointAddress(id: key, userData: "a=\u{301}"), "user_data"),
    (EndpointAddress(id: key, relayURLs: [RelayURL("https://h/" + String(repeating: "x", count: 250))!]), "relay_urls[0]"),
])
func notWritten(_ address: EndpointAddress, _ path: String) throws {
    let error = try thrownError(ObjectError.self) { try address.records(timeToLive: 30) }
    #expect(error.path == path)
}

@Test("what the first gateway published is read, unless there is something where iroh looks")
func leftovers() throws {
    let strings = ["relay=https://relay.example/", "addr=quic://10.1.1.4:4444", "addr=quic://host.example:1", "alpn=pubky/iroh-homeserver/0"]
    let endpoint = try #require(try published(strings, at: "_iroh._udp"))
    #expect(endpoint.address.addresses == [SocketAddress("10.1.1.4:4444")!])
    #expect(endpoint.address.relayURLs.map(\.description) == ["https://relay.example/"])
    #expect(endpoint.warnings == [.leftover, .unusable("addr=quic://host.example:1")])
    #expect(try published([], at: "_iroh") == nil)
    #expect(try published(["addr=1.2.3.4:5"], at: "_IROH") == nil)
}

@Test("a cut value, an address nobody can send to and a string that is no text are told apart")
func warnings() throws {
    let endpoint = try #require(try published([
        "relay=https://h/?a=b", "addr=0.0.0.0:5", "addr=1.2.3.4:0", "addr=ab_cd", "hex:ff", "user-data=" + String(repeating: "x", count: 245),
        "user-data=second", "addr=1.2.3.4:5", "addr=1.2.3.4:5",
    ]))
    #expect(endpoint.warnings == [
        .cut("relay=https://h/?a=b"), .unusable("addr=0.0.0.0:5"), .unusable("addr=1.2.3.4:0"), .refusedByIroh("\u{fffd}"),
    ])
    #expect(endpoint.address.relayURLs.map(\.description) == ["https://h/?a"])
    #expect(endpoint.address.addresses == [SocketAddress("1.2.3.4:5")!])
    #expect(endpoint.address.userData?.count == 245)
}

@Test("relay URLs take the form in which iroh prints them", arguments: [
    ("https://Relay.Example", "https://relay.example/"), ("HTTPS://relay.example.:443/", "https://relay.example./"),
    ("http://127.0.0.1:3340", "http://127.0.0.1:3340/"), ("http://[::1]:080/a/B?c", "http://[::1]/a/B?c"), ("https://h?x", "https://h/?x"),
])
func relayURLs(_ given: String, _ expected: String) { #expect(RelayURL(given)?.description == expected) }

@Test("what is no relay URL is refused", arguments: [
    "", "https://", "https:///x", "ftp://h/", "https://u@h/", "https://h h/", "https://h:99999/", "https://h:x/", "https://[1]/", "https://h/#f",
    "https://é/", "relay.example",
])
func notARelayURL(_ text: String) { #expect(RelayURL(text) == nil) }

@Test("an endpoint object comes back as it was, and one with a mistake is refused with its place")
func endpointObject() throws {
    let text = #"{"endpoint_id":"df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo","relay_urls":["https://relay.example/"],"# +
        #""addresses":["203.0.113.7:11204"],"user_data":null}"#
    let address = try EndpointAddress(json: JSONValue(parsing: text).objectValue!)
    #expect(JSONValue.object(address.json).text == text)
    for (member, value, expected) in [
        ("endpoint_id", JSONValue.string("x"), "endpoint_id: not a key"),
        ("relay_urls", ["x"], "relay_urls[0]: not an http or https URL: x"),
        ("addresses", ["1.2.3.4:5", "1.2.3.4:0"], "addresses[1]: not an address with a port to send to: 1.2.3.4:0"),
        ("addresses", ["host:5"], "addresses[0]: not an address with a port to send to: host:5"),
        ("addresses", 5, "addresses: expected an array, found a number"),
        ("user_data", .string(String(repeating: "x", count: 246)), "user_data: 246 bytes, at most 245 are allowed"),
    ] {
        var object = address.json
        object[member] = value
        let error = try thrownError(ObjectError.self) { try EndpointAddress(json: object) }
        #expect(error.description == expected)
    }
}
