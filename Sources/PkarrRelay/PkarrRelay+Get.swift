import Crypto
import Discovery
import HTTPServer
import Mainline
import Pkarr
import Platform

/// GET by policy (spec/pkarr-wire.md, 2.2).
extension PkarrRelay {
    func get(_ exchange: HTTPExchange, _ key: PublicKey) {
        guard let policy = ResolvePolicy(rawValue: exchange.query("policy") ?? ResolvePolicy.cacheFirst.rawValue) else {
            return exchange.refuse(400, "policy has to be CacheFirst, CacheOnly or NetworkOnly")
        }
        let cached = cache.entry(for: key)
        switch policy {
        case .cacheOnly:
            if let cached { exchange.give(cached) } else { exchange.refuse(404, "not here") }
        case .cacheFirst:
            if let cached, cached.isFresh(at: WallClock.microseconds) { return exchange.give(cached) }
            lookUp(key, for: exchange, atLeast: cached?.packet, answersAtOnce: true)
        case .networkOnly:
            lookUp(key, for: exchange, atLeast: nil, answersAtOnce: false)
        }
    }

    /// Asks the DHT, and answers with the first packet that is no older than `floor`, or at the end with the newest.
    private func lookUp(_ key: PublicKey, for exchange: HTTPExchange, atLeast floor: SignedPacket?, answersAtOnce: Bool) {
        var newest: SignedPacket?
        var invalid: UInt64?
        // One less, so that the packet that is here already is found, too.
        dht.get(key, moreRecentThan: floor.map { Int64($0.timestamp) - 1 }) { [weak self] item, _ in
            guard let packet = try? SignedPacket(item) else {
                invalid = max(invalid ?? 0, UInt64(item.sequence))
                return
            }
            if newest.map({ packet.isMoreRecent(than: $0) }) ?? true { newest = packet }
            self?.cache.note(packet, seenAt: WallClock.microseconds)
            guard answersAtOnce, floor.map({ !$0.isMoreRecent(than: packet) }) ?? true else { return }
            exchange.give(PacketCache.Entry(packet: packet, lastSeen: WallClock.microseconds))
        } completion: { [weak self] outcome in
            let isEmptyNetwork = outcome.ending == .nobodyToAsk && self?.isFirstOfNetwork ?? false
            if let packet = newest, packet.timestamp >= invalid ?? 0, floor.map({ !$0.isMoreRecent(than: packet) }) ?? true {
                exchange.give(PacketCache.Entry(packet: packet, lastSeen: WallClock.microseconds))
            } else if !outcome.hasAnswers, !isEmptyNetwork {
                exchange.refuse(503, outcome.ending.problem ?? "no DHT node answered")
            } else {
                exchange.refuse(404, "nobody has a packet of this key",
                                headers: invalid.map { [("Pkarr-Invalid-Signed-Packet-Seq", String($0))] } ?? [])
            }
        }
    }
}

extension HTTPExchange {
    /// Answers with a packet, or with 304 when the client has it. Nothing happens when it is answered already.
    fileprivate func give(_ entry: PacketCache.Entry) {
        let packet = entry.packet
        let headers = [
            ("Content-Type", "application/pkarr.org/relays#payload"), ("Cache-Control", "public, max-age=\(packet.lifetime)"),
            ("Last-Modified", HTTPDate.text(microseconds: packet.timestamp)),
            ("Memento-Datetime", HTTPDate.text(microseconds: entry.lastSeen)),
        ]
        if let since = header("If-Modified-Since").flatMap(HTTPDate.microseconds), packet.timestamp <= since {
            answer(HTTPAnswer(status: 304, headers: headers))
        } else {
            answer(HTTPAnswer(status: 200, headers: headers, body: packet.payload))
        }
    }
}
