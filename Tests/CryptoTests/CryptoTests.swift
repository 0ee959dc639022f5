import Crypto
import Testing

@Test("the test key of the iroh notes has the id and z-base-32 name that iroh gives it")
func knownKey() {
    let key = SecretKey(seed: [UInt8](repeating: 0x2a, count: 32))!.publicKey
    #expect(hexadecimal(key.bytes) == "197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d61")
    #expect(key.zBase32 == "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo")
}

@Test("a signature is valid for its message only")
func signature() {
    let key = SecretKey.generate()
    var signature = key.sign([1, 2, 3])
    #expect(key.publicKey.isValidSignature(signature, of: [1, 2, 3]))
    #expect(!key.publicKey.isValidSignature(signature, of: [1, 2, 4]))
    signature[0] ^= 1
    #expect(!key.publicKey.isValidSignature(signature, of: [1, 2, 3]))
}

@Test("bytes that are no point of the curve are no key, small-order points are")
func curvePoints() {
    #expect(PublicKey(bytes: [UInt8](repeating: 2, count: 32)) == nil)
    #expect(PublicKey(bytes: [1] + [UInt8](repeating: 0, count: 31)) != nil)
    #expect(PublicKey(bytes: [UInt8](repeating: 0, count: 32)) != nil)
}

@Test("a key is understood in every form a person may have", arguments: [
    "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo", "pk:df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo",
    "pubkydf9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo",
    "pubky://df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo/pub/x?y#z",
    "https://a@_pubky.df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo.:443/p",
    "197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d61",
])
func keyForms(_ text: String) { #expect(PublicKey(parsing: text)?.zBase32.hasPrefix("df9sse9b") == true) }

@Test("a text with other spare bits, length or letters is no key", arguments: [
    "", "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstiob", "df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstio",
    "lf9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo", "ftp://df9sse9bp1nuftim3yhxiuk6w6r5hddsskjygpydux7esxjstioo",
])
func notAKey(_ text: String) { #expect(PublicKey(parsing: text) == nil) }

@Test("SHA-1 gives the digest of RFC 3174")
func sha1Vector() { #expect(hexadecimal(sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d") }

@Test("SHA-256 of FIPS 180's example")
func sha256Vector() {
    #expect(hexadecimal(sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

@Test("base64 has one text for one value")
func base64Text() {
    #expect(base64(Array("keyhole".utf8)) == "a2V5aG9sZQ==")
    #expect(bytes(base64: "a2V5aG9sZQ==") == Array("keyhole".utf8))
    #expect(bytes(base64: "") == [])
    for text in ["a2V5aG9sZQ", "a2V5aG9sZQ==x", "a2V5*G9sZQ==", "a2V5aG9sZR=="] { #expect(bytes(base64: text) == nil) }
}
