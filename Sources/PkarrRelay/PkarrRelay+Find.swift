import Crypto
import Discovery
import Pkarr
import Platform

/// For others than HTTP clients who want packets.
extension PkarrRelay {
    /// What a search for a packet has come to.
    public enum Finding {
        case found(SignedPacket)
        case nobodyHasIt
        /// No node has answered, and why.
        case unreachable(String)
    }

    /// The packet of a key that is here, with when it was last seen in the DHT, in microseconds since 1970.
    public func cachedPacket(of key: PublicKey) -> (packet: SignedPacket, lastSeen: UInt64)? {
        cache.entry(for: key, now: wallClock()).map { ($0.packet, $0.lastSeen) }
    }

    /// Looks in the DHT for a packet of a key, which gets into the cache, too.
    ///
    /// - Parameters:
    ///   - floor: An older packet than this one will not do.
    ///   - completion: Called once, never from within this call: with the first packet that will do, as the relay's `CacheFirst` does.
    ///     A newer one that comes later is in the cache then.
    public func find(_ key: PublicKey, notOlderThan floor: SignedPacket?, completion: @escaping (Finding) -> Void) {
        var completion: ((Finding) -> Void)? = completion
        let finish = { (finding: Finding) in
            let call = completion
            completion = nil
            call?(finding)
        }
        // One less, so that the packet that is here already is found, too.
        network.lookUp(key, moreRecentThan: floor.map { Int64($0.timestamp) - 1 }) { [weak self] item in
            guard let packet = try? SignedPacket(item) else { return }
            self?.note(packet)
            if floor.map({ !$0.isMoreRecent(than: packet) }) ?? true { finish(.found(packet)) }
        } completion: { [weak self] outcome in
            let isEmptyNetwork = outcome.ending == .nobodyToAsk && self?.isFirstOfNetwork ?? false
            let isAnswered = isEmptyNetwork || outcome.hasAnswers
            finish(isAnswered ? .nobodyHasIt : .unreachable(outcome.ending.problem ?? "no DHT node answered"))
        }
    }

    private func note(_ packet: SignedPacket) { cache.note(packet, seenAt: wallClock()) }
}
