import Crypto
import Discovery
import HTTPServer
import Mainline
import Pkarr
import Platform

/// GET by policy (spec/pkarr-wire.md, 2.2).
extension PkarrRelay {
    /// Those who ask the same at the same time share a look-up.
    struct Question: Hashable {
        var key: PublicKey
        var policy: ResolvePolicy
    }

    /// A look-up for one or several clients.
    final class Inquiry {
        var exchanges: [HTTPExchange] = []
        var newest: SignedPacket?
        /// The highest sequence of an item that is no packet.
        var invalid: UInt64?
    }

    func get(_ exchange: HTTPExchange, _ key: PublicKey, from client: IPAddress) {
        guard let policy = ResolvePolicy(rawValue: exchange.query("policy") ?? ResolvePolicy.cacheFirst.rawValue) else {
            return exchange.refuse(400, "policy has to be CacheFirst, CacheOnly or NetworkOnly")
        }
        let cached = cache.entry(for: key, now: wallClock())
        switch policy {
        case .cacheOnly:
            if let cached { give(cached, to: exchange) } else { exchange.refuse(404, "not here") }
        case .cacheFirst:
            if let cached, cached.isFresh(at: wallClock()) { return give(cached, to: exchange) }
            lookUp(Question(key: key, policy: policy), for: exchange, client, atLeast: cached?.packet)
        case .networkOnly:
            lookUp(Question(key: key, policy: policy), for: exchange, client, atLeast: nil)
        }
    }

    private func give(_ entry: PacketCache.Entry, to exchange: HTTPExchange) {
        counters.cacheHits += 1
        exchange.give(entry)
    }

    /// Asks the DHT, and answers with the first packet that is no older than `floor` or, when the newest is wanted, at the end.
    private func lookUp(_ question: Question, for exchange: HTTPExchange, _ client: IPAddress, atLeast floor: SignedPacket?) {
        guard mayLookUp(exchange, client) else { return }
        counters.cacheMisses += 1
        if let inquiry = lookups[question] { return inquiry.exchanges.append(exchange) }
        let inquiry = Inquiry()
        inquiry.exchanges = [exchange]
        lookups[question] = inquiry
        // One less, so that the packet that is here already is found, too.
        network.lookUp(question.key, moreRecentThan: floor.map { Int64($0.timestamp) - 1 }) { [weak self] item in
            self?.take(item, for: question, inquiry, atLeast: floor)
        } completion: { [weak self] outcome in
            self?.finish(question, inquiry, outcome, atLeast: floor)
        }
    }

    private func take(_ item: MutableItem, for question: Question, _ inquiry: Inquiry, atLeast floor: SignedPacket?) {
        guard let packet = try? SignedPacket(item) else {
            inquiry.invalid = max(inquiry.invalid ?? 0, UInt64(item.sequence))
            return
        }
        if inquiry.newest.map({ packet.isMoreRecent(than: $0) }) ?? true { inquiry.newest = packet }
        cache.note(packet, seenAt: wallClock())
        guard question.policy == .cacheFirst, floor.map({ !$0.isMoreRecent(than: packet) }) ?? true else { return }
        end(question, inquiry) { $0.give(PacketCache.Entry(packet: packet, lastSeen: self.wallClock())) }
    }

    private func finish(_ question: Question, _ inquiry: Inquiry, _ outcome: LookupOutcome, atLeast floor: SignedPacket?) {
        let isEmptyNetwork = outcome.ending == .nobodyToAsk && isFirstOfNetwork
        if let packet = inquiry.newest, packet.timestamp >= inquiry.invalid ?? 0, floor.map({ !$0.isMoreRecent(than: packet) }) ?? true {
            end(question, inquiry) { $0.give(PacketCache.Entry(packet: packet, lastSeen: self.wallClock())) }
        } else if !outcome.hasAnswers, !isEmptyNetwork {
            end(question, inquiry) { $0.refuse(503, outcome.ending.problem ?? "no DHT node answered") }
        } else {
            let headers = inquiry.invalid.map { [(name: "Pkarr-Invalid-Signed-Packet-Seq", value: String($0))] } ?? []
            end(question, inquiry) { $0.refuse(404, "nobody has a packet of this key", headers: headers) }
        }
    }

    /// Answers all who wait; who asks from now on begins anew.
    private func end(_ question: Question, _ inquiry: Inquiry, _ answer: (HTTPExchange) -> Void) {
        if lookups[question] === inquiry { lookups[question] = nil }
        let exchanges = inquiry.exchanges
        inquiry.exchanges = []
        exchanges.forEach(answer)
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
