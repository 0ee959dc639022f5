import Crypto
import Discovery
import HTTPServer
import Mainline
import Pkarr
import Platform

/// PUT: checks in the order of spec/pkarr-wire.md, 2.1.
///
/// Of `If-Match`, which pkarr-relay 1.0 does not know any more, the meaning of versions 0.11 and 0.12 is kept (2.6): it costs those nothing
/// who don't send it, and it spares those who do from erasing what they have not seen.
///
/// Packets of one key are put one after the other, each judged by what has become of those before. pkarr-relay answers 409 to all but the
/// first (the mainline library's `ConflictRisk`), whereupon a homeserver that meets another's refresh does not start.
extension PkarrRelay {
    func put(_ exchange: HTTPExchange, _ key: PublicKey, from client: IPAddress) {
        let packet: SignedPacket
        do throws(SignedPacketError) { packet = try SignedPacket(publicKey: key, payload: exchange.body) } catch {
            return exchange.refuse(400, error.description)
        }
        // Behind another put, what counts is what will be known then.
        guard puts[key] != nil || isWelcome(packet, exchange) else { return }
        if let handOut, handOut.keys.contains(key) {
            guard handOut.take(packet) else { return exchange.refuse(409, "a more recent packet is known") }
            // One has it.
            return exchange.answer(HTTPAnswer(status: 204, headers: [("Pkarr-Dht-Stored-Nodes", "1")]))
        }
        guard mayLookUp(exchange, client) else { return }
        switch puts[key, default: PutLine()].join(packet, exchange) {
        case .isFirst: store(packet, exchange)
        case .waits: break
        case .isOlder: exchange.refuse(409, "a more recent packet of this key is being put")
        case .isFull: exchange.refuse(429, "too many packets of this key wait to be put", headers: [("Retry-After", "1")])
        }
    }

    /// Whether a packet may be put as far as is known here; if not, the client is told so.
    private func isWelcome(_ packet: SignedPacket, _ exchange: HTTPExchange) -> Bool {
        let cached = cache.entry(for: packet.publicKey, now: wallClock())?.packet
        if let cached, cached.isMoreRecent(than: packet) {
            exchange.refuse(409, "a more recent packet is known")
            return false
        }
        if let expected = exchange.expectedTimestamp, cached.map({ $0.timestamp != expected && $0 != packet }) ?? (expected == .max) {
            exchange.refuse(412, "the packet known is not the one that If-Match names")
            return false
        }
        return true
    }

    private func store(_ packet: SignedPacket, _ exchange: HTTPExchange) {
        // A timestamp that no packet has is no sequence either: then no other packet is taken into account.
        let basis = exchange.expectedTimestamp.map { PutBasis(previous: Int64(exactly: $0)) }
        network.store(MutableItem(packet), onto: basis) { [weak self] outcome in self?.finish(packet, outcome) }
    }

    /// Puts the next packet of the key that may be put after what has become of the one before.
    private func putNext(_ key: PublicKey) {
        while let next = puts[key]?.next() {
            let welcome = next.exchanges.filter { isWelcome(next.packet, $0) }
            guard let first = welcome.first else { continue }
            puts[key]!.keep(welcome)
            return store(next.packet, first)
        }
        puts[key] = nil
    }

    private func finish(_ packet: SignedPacket, _ outcome: PutOutcome) {
        if let newer = outcome.newer, let other = try? SignedPacket(newer) { cache.note(other, seenAt: wallClock()) }
        for item in outcome.unmerged { if let other = try? SignedPacket(item) { cache.note(other, seenAt: wallClock()) } }
        let receipt = Receipt(packet: packet, dht: outcome, relays: [])
        let isOvertaken = receipt.isOvertaken || !outcome.unmerged.isEmpty
        if receipt.isStored, !isOvertaken { cache.note(packet, seenAt: wallClock()) }
        for exchange in puts[packet.publicKey]?.underWay?.exchanges ?? [] {
            if isOvertaken, outcome.newer == nil, exchange.expectedTimestamp != nil {
                exchange.refuse(412, "the DHT does not have the packet that If-Match names")
            } else if isOvertaken {
                exchange.refuse(409, "the DHT has a more recent packet")
            } else if receipt.isStored {
                exchange.answer(HTTPAnswer(status: 204, headers: [("Pkarr-Dht-Stored-Nodes", String(outcome.stored))]))
            } else {
                exchange.refuse(500, "no DHT node has stored the packet\(outcome.lookup.ending.problem.map { ": " + $0 } ?? "")")
            }
        }
        putNext(packet.publicKey)
    }
}

extension HTTPExchange {
    /// The timestamp that the present packet has to have, from `If-Match`, with or without the quotes of an entity tag; nil without the
    /// header. What is no timestamp is one that no packet has.
    fileprivate var expectedTimestamp: UInt64? {
        guard let text = header("If-Match") else { return nil }
        let digits = text.count > 2 && text.hasPrefix("\"") && text.hasSuffix("\"") ? text.dropFirst().dropLast() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return .max }
        return Int64(digits).map { UInt64($0) } ?? .max
    }
}
