import Crypto
import EventLoop
import JSON
import Pkarr
import Platform
import Testing

@testable import Ladder

func secret(_ number: UInt8) -> SecretKey { SecretKey(seed: [UInt8](repeating: number, count: 32))! }

func key(_ number: UInt8) -> PublicKey { secret(number).publicKey }

/// A packet with records as in a `records` object.
func packet(_ number: UInt8, _ records: String, timestamp: UInt64 = 1) throws -> SignedPacket {
    let object = try #require(try JSONValue(parsing: "{\"records\":[\(records)]}").objectValue)
    let set = try RecordSet(json: object, for: key(number))
    return try SignedPacket(signing: DNSMessage(answers: set.records), timestamp: timestamp, with: secret(number))
}

func https(_ name: String = "@", priority: Int = 1, target: String = ".", params: String = "{}", type: String = "HTTPS") -> String {
    #"{"name":"\#(name)","type":"\#(type)","ttl":300,"priority":\#(priority),"target":"\#(target)","params":\#(params)}"#
}

func address(_ ip: String) -> String { #"{"name":"@","type":"\#(ip.contains(":") ? "AAAA" : "A")","ttl":300,"address":"\#(ip)"}"# }

func endpoint(_ attributes: String...) -> String {
    attributes.map { #"{"name":"_iroh","type":"TXT","ttl":30,"strings":["\#($0)"]}"# }.joined(separator: ",")
}

func keyed(_ address: String, _ number: UInt8 = 1) -> Way { .keyed(KeyedAddress(address: SocketAddress(address)!, key: key(number))) }

extension EventLoop {
    /// Runs until the condition holds, or until a loaded machine too would have come so far.
    func run(until condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) {
        let end = Instant.now + .seconds(60)
        // A round of the loop may do something at its beginning and then wait: the condition is looked at often.
        let tick = Timer(on: self) {}
        tick.start(after: .milliseconds(5), every: .milliseconds(5))
        while !condition(), Instant.now < end { runOnce() }
        tick.stop()
        #expect(condition(), sourceLocation: sourceLocation)
    }
}
