import Crypto
import JSON
import Platform
import Testing
@testable import Mainline

/// Exchanges recorded with a real libtorrent node.
private enum Recorded {
    static let exchanges: [JSONObject] = {
        let path = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors/krpc-libtorrent.jsonl"
        return String(decoding: try! readFile(path, limit: 1 << 20), as: UTF8.self).split(separator: "\n")
            .map { try! JSONValue(parsing: Array($0.utf8)).objectValue! }
    }()

    static func message(_ field: String, of check: String) -> [UInt8] {
        unescaped(exchanges.first { $0["check"]?.stringValue?.contains(check) == true }![field]!.stringValue!)
    }

    /// Whole messages that libtorrent was sent: it accepted all of them.
    static let sent: [[UInt8]] = exchanges.compactMap { $0["sent"]?.stringValue }.map(unescaped)
}

@Test("the queries that libtorrent accepted are read, and written again byte for byte")
func sentQueries() throws {
    #expect(Recorded.sent.count == 4)
    for datagram in Recorded.sent {
        let message = try KRPCMessage(datagram)
        #expect(message.isReadOnly)
        // The prober had another version tag, and its put no target.
        let theirs = Array("1:v4:Pk".utf8) + [0, 1], ours = Array("1:v4:KH".utf8) + [0, 1]
        var expected = try Bencode(datagram.replacing(theirs, with: ours))
        if case .query(_, .put(_, let put)) = message.body { expected = expected.addingTarget(put.target) }
        #expect(message.encoded == expected.encoded)
    }
}

@Test("the recorded put carries a validly signed item")
func recordedPut() throws {
    let message = try KRPCMessage(Recorded.message("sent", of: "exact bytes"))
    guard case .query(_, .put(let token, .mutable(let item, cas: nil))) = message.body else { Issue.record("no put"); return }
    #expect(token == [0x71, 0x5e, 0xb0, 0x25] && item.sequence == 10 && item.value == Array("first".utf8) && item.isSignatureValid)
}

@Test("libtorrent's answers are read")
func answers() throws {
    let pong = try KRPCMessage(Recorded.message("got", of: "ping"))
    #expect(pong.transaction == [0, 0, 0x5f, 0x98] && pong.observedAddress == address("127.0.0.1:52021") && !pong.isReadOnly)
    guard case .response(let response) = pong.body else { Issue.record("no response"); return }
    #expect(response == KRPCResponse(id: response.id) && hexadecimal(response.id.bytes).hasPrefix("24e12126f2"))
}

@Test("BEP 44's first test vector verifies, with and without salt")
func bep44() throws {
    let key = PublicKey(bytes: bytes(hexadecimal: "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")!)!
    let plain = MutableItem(key: key, sequence: 1, signature: bytes(hexadecimal:
        "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01")!,
        value: Array("Hello World!".utf8))
    #expect(plain.isSignatureValid && plain.target.description == "4a533d47ec9c7d95b1ad75f576cffc641853b750")
    let salted = MutableItem(key: key, salt: Array("foobar".utf8), sequence: 1, signature: bytes(hexadecimal:
        "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08")!,
        value: Array("Hello World!".utf8))
    #expect(salted.isSignatureValid && salted.target.description == "411eba73b6f087ca51a3795d9c8c938d365e32c1")
    #expect(NodeID(hashing: Array("12:Hello World!".utf8)).description == "e5f96f6f38320f0f33959cb4d3d656452117aadb")
}

@Test("what is no KRPC message is dropped", arguments: [
    "", "i1e", "de", "d1:t4:aaaa1:y1:qe", "d1:q4:ping1:t4:aaaa1:y1:qe", "d1:ad2:id3:abce1:q4:ping1:t4:aaaa1:y1:qe",
    "d1:rde1:t4:aaaa1:y1:re", "d1:eli1ee1:t4:aaaa1:y1:ee", "d1:t0:1:y1:re", "d1:t4:aaaa1:y1:xe", "d1:ti5e1:y1:qe",
])
func garbage(text: String) {
    #expect((try? KRPCMessage(Array(text.utf8))) == nil)
}

@Test("compact nodes that nothing can be sent to are dropped, and so is half a node")
func compactNodes() {
    let id = [UInt8](repeating: 7, count: 20)
    let places: [[UInt8]] = [
        [1, 2, 3, 4, 0, 80], [1, 2, 3, 4, 0, 0], [0, 0, 0, 0, 0, 80], [255, 255, 255, 255, 0, 80], [224, 0, 0, 1, 0, 80], [],
    ]
    let compact = places.flatMap { id + $0 }
    #expect(Contact.list(compact: compact) == [Contact(id: NodeID(id)!, address: address("1.2.3.4:80"))])
    #expect(Contact.list(compact: [1, 2, 3]).isEmpty)
}

extension Bencode {
    /// A query with a target among its arguments.
    fileprivate func addingTarget(_ target: NodeID) -> Bencode {
        guard case .dictionary(var entries) = self, let index = entries.firstIndex(where: { $0.key == Array("a".utf8) }),
            case .dictionary(var arguments) = entries[index].value
        else { return self }
        arguments.append(Entry(key: Array("target".utf8), value: .string(target.bytes)))
        entries[index].value = .dictionary(arguments.sorted { $0.key.lexicographicallyPrecedes($1.key) })
        return .dictionary(entries)
    }
}

extension Array where Element == UInt8 {
    fileprivate func replacing(_ old: [UInt8], with new: [UInt8]) -> [UInt8] {
        guard let start = indices.first(where: { self[$0...].starts(with: old) }) else { return self }
        var result = self
        result.replaceSubrange(start..<(start + old.count), with: new)
        return result
    }
}
