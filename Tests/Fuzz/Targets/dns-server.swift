import Crypto
import DNSServer
import FuzzSupport
import Pkarr
import Platform

// One thread has it.
nonisolated(unsafe) private let secret = SecretKey(seed: [UInt8](repeating: 1, count: 32))!

/// A name server gets, with two bytes of length before each, the message of a key's packet, and then queries and what others have to say to
/// those it forwards. The first byte says which transport, by its lowest bit.
///
/// Each message is answered at most once, an answer is as long as the client allows, and is one.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        guard let first = bytes.first else { return }
        let transport: Transport = first & 1 == 0 ? .udp : .tcp
        var rest = bytes.dropFirst()
        func next() -> [UInt8]? {
            guard rest.count > 2 else { return nil }
            let length = min(Int(rest.removeFirst()) << 8 | Int(rest.removeFirst()), rest.count)
            defer { rest = rest.dropFirst(length) }
            return Array(rest.prefix(length))
        }
        var seen: SeenPacket?
        if let message = next(), let read = try? DNSMessage(wire: message), let packet = try? SignedPacket(signing: read, timestamp: 1, with: secret) {
            seen = SeenPacket(packet: packet, lastSeen: 1_000_000)
        }
        var configuration = NameServer.Configuration()
        configuration.forwardsFor = AddressRange.loopback
        configuration.questions = nil
        var server = NameServer(configuration) { $0 == secret.publicKey ? seen : nil }
        let origin = NameServer.Origin(transport: transport, address: SocketAddress("127.0.0.1:4000")!, channel: 0)
        let moment = Moment(instant: Instant(nanoseconds: 1_000_000_000), microseconds: 2_000_000)
        while let query = next() {
            let isAnswered = server.receive(query, from: origin, at: moment)
            var answers = 0
            func take() {
                for output in server.takeOutputs() {
                    switch output {
                    case .send(let answer, _):
                        answers += 1
                        check(answer, to: query, transport)
                    case .lookUp(let key, _):
                        server.finishLookUp(key, query.count % 2 == 0 ? .nobodyHasIt : .unreachable("no node"), at: moment)
                        take()
                    case .forward(let forwarded, let id, _):
                        precondition(forwarded.wire.count < 512, "what is forwarded is small")
                        var reply = next() ?? []
                        if reply.count > 2 { reply.replaceSubrange(0..<2, with: forwarded.wire.prefix(2)) }
                        server.finishForward(id, forwarded.accepts(reply) ? reply : nil, at: moment)
                        take()
                    }
                }
            }
            take()
            precondition(answers == (isAnswered ? 1 : 0), "every query that deserves it is answered once")
        }
    }
}

private func check(_ answer: [UInt8], to query: [UInt8], _ transport: Transport) {
    precondition(answer.count >= 12 && answer[2] & 0x80 != 0, "an answer is one")
    precondition(answer.prefix(2) == query.prefix(2), "an answer has the query's id")
    guard transport == .udp else { return precondition(answer.count <= 65535) }
    // Without EDNS, which takes an additional record, a client takes 512 bytes.
    precondition(answer.count <= (query[11] > 0 || query[10] > 0 ? 1232 : 512), "an answer fits its datagram")
}
