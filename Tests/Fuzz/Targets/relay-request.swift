import Crypto
import FuzzSupport
import HTTPServer
import Mainline
import Pkarr
import PkarrRelay
import Platform

/// A DHT that has one packet of one key and stores whatever comes.
private final class Network: PacketNetwork {
    let isJoined = true
    let item: MutableItem
    var pending: [() -> Void] = []

    init(_ item: MutableItem) { self.item = item }

    func lookUp(
        _ key: PublicKey, moreRecentThan: Int64?, onItem: @escaping (MutableItem) -> Void, completion: @escaping (LookupOutcome) -> Void
    ) {
        pending.append { [item] in
            if key == item.key { onItem(item) }
            completion(LookupOutcome(ending: .complete))
        }
    }

    func store(_ item: MutableItem, onto basis: PutBasis?, completion: @escaping (PutOutcome) -> Void) {
        precondition(basis?.previous.map { $0 >= 0 } ?? true, "no packet has a negative timestamp")
        precondition(item.isSignatureValid, "nothing unsigned goes to the DHT")
        pending.append { completion(PutOutcome(lookup: LookupOutcome(ending: .complete))) }
    }
}

private var secret: SecretKey { SecretKey(seed: [UInt8](repeating: 1, count: 32))! }
private let packet = try! SignedPacket(signing: DNSMessage(answers: []), timestamp: 5, with: secret)

/// Requests one after another, a field a line: method, path, parameter, headers as `name: value`, an empty line, and the body in what is
/// left or up to a line `.`. `KEY` in a path is the one key that the network knows, `PACKET` as a body its packet.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let network = Network(MutableItem(packet))
        let visitors = Visitors(proxies: [AddressRange("10.0.0.0/8")!])
        let relay = PkarrRelay(network: network, isFirstOfNetwork: false, visitors: visitors)
        var answers = 0, requests = 0
        var lines = bytes.split(separator: 10, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }[...]
        while let method = lines.popFirst(), let path = lines.popFirst() {
            var headers: [(name: String, value: String)] = [], body: [UInt8] = []
            let policy = lines.popFirst() ?? ""
            while let line = lines.popFirst(), !line.isEmpty {
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                headers.append((String(parts[0]), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""))
            }
            while let line = lines.popFirst(), line != "." { body += line == "PACKET" ? packet.payload : Array(line.utf8) }
            requests += 1
            relay.answer(HTTPExchange(
                method: method, path: path == "KEY" ? "/" + secret.publicKey.zBase32 : path, headers: headers,
                parameters: policy.isEmpty ? [] : [("policy", policy)], body: Array(body.prefix(PkarrRelay.largestBody)),
                isTooLong: body.count > PkarrRelay.largestBody, peer: IPAddress("10.0.0.1")!) { answer in
                    answers += 1
                    precondition([200, 204, 304, 400, 403, 404, 405, 409, 412, 413, 429, 500, 503].contains(answer.status), "a documented status")
                    precondition(answer.headers.allSatisfy { $0.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3a } }, "header names")
                })
            while !network.pending.isEmpty { network.pending.removeFirst()() }
            precondition(answers == requests, "each request is answered once")
        }
    }
}
