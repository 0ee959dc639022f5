import Crypto
import HTTPClient
import Pkarr
import Testing

@testable import Discovery

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 7, count: 32))! }
private let packet = try! SignedPacket(signing: DNSMessage(answers: []), timestamp: 1_764_000_000_000_000, with: secret)

@Test("a relay's URL is kept without its final slashes", arguments: [
    ("https://pkarr.pubky.app", "https://pkarr.pubky.app"), ("http://relay.example:15411/pkarr//", "http://relay.example:15411/pkarr"),
    ("HTTPS://A", "https://A"), ("http://[::1]:80/", "http://[::1]:80"), ("http://127.0.0.1", "http://127.0.0.1"),
])
func relayURLs(text: String, expected: String) {
    #expect(RelayURL(text)?.description == expected)
    #expect(RelayURL(text)?.url(of: secret.publicKey) == expected + "/" + secret.publicKey.zBase32)
}

@Test("what is no base URL of a relay is refused", arguments: [
    "", "relay.example", "ftp://relay.example", "http://", "http:///path", "http://a b", "http://a/?b", "http://a/#b", "http://user@a",
    "http://a:", "http://a:0", "http://a:65536", "http://a:1:2", "http://[::1", "http://[]", "http://::1", "http://a/\n", "http://é",
    "http://" + String(repeating: "a", count: 2048),
])
func refusedRelayURLs(text: String) {
    #expect(RelayURL(text) == nil)
}

@Test("an answer to a PUT is understood whatever the relay's version", arguments: [
    (200, PutVerdict.stored(nodes: nil)), (204, .stored(nodes: nil)), (409, .conflict), (412, .conflict), (428, .conflict),
    (429, .rateLimited), (400, .refused), (413, .refused), (404, .refused), (500, .failed), (503, .failed), (302, .failed), (0, .failed),
])
func putVerdicts(status: Int, verdict: PutVerdict) {
    #expect(PutVerdict(HTTPResponse(status: status)) == verdict)
}

@Test("the count of storing nodes is read in any case of the header's name, and only if it can be one")
func storedNodes() {
    func verdict(_ value: String) -> PutVerdict { PutVerdict(HTTPResponse(status: 204, headers: [("pkarr-dht-stored-nodes", value)])) }
    #expect(verdict("20") == .stored(nodes: 20))
    #expect(verdict("-1") == .stored(nodes: nil))
    #expect(verdict("99999999999999999999") == .stored(nodes: nil))
}

@Test("an answer to a GET is a packet only if the key that was asked for has signed it")
func getVerdicts() {
    func verdict(_ status: Int, _ body: [UInt8] = [], headers: [(name: String, value: String)] = [], key: PublicKey = secret.publicKey) -> GetVerdict {
        GetVerdict(HTTPResponse(status: status, headers: headers, body: body), for: key)
    }
    #expect(verdict(200, packet.payload) == .packet(packet))
    #expect(verdict(200, packet.payload, key: SecretKey.generate().publicKey) == .lied(.badSignature))
    #expect(verdict(200, Array(packet.payload.dropLast())) == .lied(.badSignature))
    #expect(verdict(200, [1]) == .lied(.tooShort(1)))
    #expect(verdict(200) == .emptyHanded)
    #expect(verdict(304) == .emptyHanded)
    #expect(verdict(404) == .notFound(invalidSequence: nil))
    #expect(verdict(404, headers: [("Pkarr-Invalid-Signed-Packet-Seq", "17")]) == .notFound(invalidSequence: 17))
    #expect(verdict(404, headers: [("Pkarr-Invalid-Signed-Packet-Seq", "-17")]) == .notFound(invalidSequence: nil))
    #expect(verdict(429) == .failed(status: 429))
    #expect(verdict(201, packet.payload) == .failed(status: 201))
}
