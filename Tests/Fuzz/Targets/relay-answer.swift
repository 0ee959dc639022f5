import Crypto
import FuzzSupport
import HTTPClient
import JSON

@testable import Discovery

/// A public key whose packets the corpus holds.
private let key = PublicKey(zBase32: "j144z7ipx879mk7h3m6cr4qamujgk8swznn5mbw9ropq5hffzewo")!

/// The input is an answer as it comes: a line with the status, header lines, an empty line, the body.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        var response = HTTPResponse(status: 0)
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0a), end > rest.startIndex {
            if response.status == 0 {
                response.status = Int(String(decoding: rest[..<end], as: UTF8.self)) ?? -1
            } else if let header = headerField(rest[..<end]) {
                precondition(!header.name.contains(":"), "a name ends at the first colon")
                response.headers.append(header)
            }
            rest = rest[(end + 1)...]
        }
        response.body = Array(rest.dropFirst())
        if case .packet(let packet) = GetVerdict(response, for: key) {
            precondition(packet.publicKey == key && packet.payload == response.body, "only the key's own packet passes")
        }
        if let words = response.words { precondition(words.count <= 200 && !words.contains(where: \.isNewline), "one line of a message is kept") }
        let answer = AuditedSource.Answer(RelayClient.Answer(GetVerdict(response, for: key), response, roundTrip: .zero))
        if case .packet(let packet) = answer.finding { precondition(packet.publicKey == key, "an audit shows the key's own packets") }
        _ = AuditReport(of: key, [AuditedSource(.relay(RelayURL.publicRelays[0]), answer)], lookup: nil, time: 1).objects.map { JSONValue.object($0).text }
        if let pause = response.retryAfter(now: 1_800_000_000_000_000) { precondition(pause >= .zero, "nobody waits backwards") }
        if case .stored(let nodes?) = PutVerdict(response) { precondition(nodes >= 0, "a count is never negative") }
    }
}
