import Crypto
import Discovery
import HTTPServer
import Mainline
import Pkarr
import Platform

/// PUT: checks in the order of spec/pkarr-wire.md, 2.1.
extension PkarrRelay {
    func put(_ exchange: HTTPExchange, _ key: PublicKey) {
        let packet: SignedPacket
        do throws(SignedPacketError) { packet = try SignedPacket(publicKey: key, payload: exchange.body) } catch {
            return exchange.refuse(400, error.description)
        }
        if let cached = cache.entry(for: key)?.packet, cached.isMoreRecent(than: packet) {
            return exchange.refuse(409, "a more recent packet is known")
        }
        if let underWay = puts[key] {
            guard underWay.packet == packet else { return exchange.refuse(409, "another packet of this key is being put") }
            puts[key]!.exchanges.append(exchange)
            return
        }
        puts[key] = (packet, [exchange])
        dht.put(MutableItem(packet)) { [weak self] outcome in self?.finish(packet, outcome) }
    }

    private func finish(_ packet: SignedPacket, _ outcome: PutOutcome) {
        let exchanges = puts.removeValue(forKey: packet.publicKey)?.exchanges ?? []
        if let newer = outcome.newer, let other = try? SignedPacket(newer) { cache.note(other, seenAt: WallClock.microseconds) }
        let receipt = Receipt(packet: packet, dht: outcome, relays: [])
        if receipt.isStored, !receipt.isOvertaken { cache.note(packet, seenAt: WallClock.microseconds) }
        for exchange in exchanges {
            if receipt.isOvertaken {
                exchange.refuse(409, "the DHT has a more recent packet")
            } else if receipt.isStored {
                exchange.answer(HTTPAnswer(status: 204, headers: [("Pkarr-Dht-Stored-Nodes", String(outcome.stored))]))
            } else {
                exchange.refuse(500, "no DHT node has stored the packet\(outcome.lookup.ending.problem.map { ": " + $0 } ?? "")")
            }
        }
    }
}
