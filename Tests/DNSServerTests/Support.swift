import Crypto
import Pkarr
import Platform
import RateLimits

@testable import DNSServer

func secret(_ number: UInt8) -> SecretKey { SecretKey(seed: [UInt8](repeating: number, count: 32))! }

let alice = secret(1).publicKey
let bob = secret(2).publicKey
let client = NameServer.Origin(transport: .udp, address: SocketAddress("192.0.2.1:4000")!, channel: 0)
let streamClient = NameServer.Origin(transport: .tcp, address: SocketAddress("192.0.2.1:4000")!, channel: 1)
/// The time of a packet's receipt in these tests.
let start = Moment(instant: Instant(nanoseconds: 1_000_000_000), microseconds: 1_764_000_000_000_000)

extension Moment {
    func after(_ seconds: Double) -> Moment {
        Moment(instant: instant + .milliseconds(Int64(seconds * 1000)), microseconds: microseconds + UInt64(seconds * 1_000_000))
    }
}

func name(_ text: String) -> DomainName { try! DomainName(target: text) }

func record(_ owner: String, _ type: RecordType, _ rdata: [UInt8], ttl: UInt32 = 300, in zone: PublicKey = alice) -> ResourceRecord {
    ResourceRecord(name: try! DomainName(owner: owner, in: zone), type: type, timeToLive: ttl, rdata: rdata)
}

func address(_ owner: String, _ last: UInt8 = 1, ttl: UInt32 = 300, in zone: PublicKey = alice) -> ResourceRecord {
    record(owner, .a, [192, 0, 2, last], ttl: ttl, in: zone)
}

func alias(_ owner: String, _ target: String, ttl: UInt32 = 300, in zone: PublicKey = alice) -> ResourceRecord {
    record(owner, .cname, name(target).wire, ttl: ttl, in: zone)
}

func packet(_ records: [ResourceRecord], _ number: UInt8 = 1, timestamp: UInt64 = 5) -> SignedPacket {
    try! SignedPacket(signing: DNSMessage(answers: records), timestamp: timestamp, with: secret(number))
}

/// A query's bytes.
func query(
    _ owner: String, _ type: RecordType = .a, id: UInt16 = 7, class: UInt16 = 1, edns: Int? = 1232, version: UInt8 = 0, flags: UInt16 = 0x0100
) -> [UInt8] {
    var writer = DNSWriter(id: id, flags: flags, counts: [1, 0, 0, edns == nil ? 0 : 1])
    writer.append(question: name(owner), type: type, class: `class`)
    if let edns {
        writer.append(ResourceRecord(name: .root, type: .opt, classField: UInt16(edns), timeToLive: UInt32(version) << 16, rdata: []))
    }
    return writer.bytes
}

/// An answer, read back.
struct Answer {
    var id: UInt16 = 0
    var flags: UInt16 = 0
    var code = 0
    var questions: [DomainName] = []
    var answers: [ResourceRecord] = []
    var authority: [ResourceRecord] = []
    var additional: [ResourceRecord] = []
    var hasEDNS = false
    /// Extended errors.
    var reasons: [UInt16] = []

    var isTruncated: Bool { flags & 0x0200 != 0 }
    var isAuthoritative: Bool { flags & 0x0400 != 0 }
    var addresses: [UInt8] { answers.filter { $0.type == .a }.map { $0.rdata[3] } }
    var ttls: [UInt32] { answers.map(\.timeToLive) }

    init(_ message: [UInt8]) throws(DNSMessageError) {
        var reader = DNSReader(message)
        id = try reader.integer(UInt16.self)
        flags = try reader.integer(UInt16.self)
        code = Int(flags & 15)
        var counts: [UInt16] = []
        for _ in 0..<4 { counts.append(try reader.integer(UInt16.self)) }
        for _ in 0..<counts[0] {
            questions.append(try reader.name())
            _ = try reader.integer(UInt32.self)
        }
        for _ in 0..<counts[1] { answers.append(try reader.record()) }
        for _ in 0..<counts[2] { authority.append(try reader.record()) }
        for _ in 0..<counts[3] {
            let record = try reader.record()
            if record.type != .opt {
                additional.append(record)
                continue
            }
            hasEDNS = true
            code |= Int(record.timeToLive >> 24) << 4
            var options = DNSReader(record.rdata)
            while options.position < record.rdata.count {
                let option = try options.integer(UInt16.self)
                let value = try options.take(Int(try options.integer(UInt16.self)))
                if option == 15 { reasons.append(UInt16(value.first!) << 8 | UInt16(value.dropFirst().first!)) }
            }
        }
    }
}

/// A name server with packets as its cache, and what it wants done.
final class Bench {
    var packets: [PublicKey: SeenPacket] = [:]
    var server: NameServer!
    var outputs: [NameServer.Output] = []

    init(_ packets: [SignedPacket] = [], _ configure: (inout NameServer.Configuration) -> Void = { _ in }) {
        for packet in packets { keep(packet) }
        var configuration = NameServer.Configuration()
        configure(&configuration)
        server = NameServer(configuration) { [unowned self] in self.packets[$0] }
    }

    func keep(_ packet: SignedPacket, at moment: Moment = start) {
        packets[packet.publicKey] = SeenPacket(packet: packet, lastSeen: moment.microseconds)
    }

    /// What there is to do after a step.
    func outputs(of step: (inout NameServer) -> Void) -> [NameServer.Output] {
        step(&server)
        return server.takeOutputs()
    }

    /// The one answer to a query; nil when it waits or is ignored.
    func ask(_ message: [UInt8], from origin: NameServer.Origin = client, at moment: Moment = start) -> Answer? {
        sent(outputs { _ = $0.receive(message, from: origin, at: moment) }).first
    }

    func ask(_ owner: String, _ type: RecordType = .a, at moment: Moment = start) -> Answer? { ask(query(owner, type), at: moment) }
}

func sent(_ outputs: [NameServer.Output]) -> [Answer] {
    outputs.compactMap { output in
        if case .send(let message, _) = output { try! Answer(message) } else { nil }
    }
}
