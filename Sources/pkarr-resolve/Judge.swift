import Crypto
import Discovery
import Pkarr
import Platform
import PublicationState
import StateOptions
import Toolkit

/// What a look-up means for whoever asked, in view of what was seen in earlier runs.
struct Judge {
    let state: StateDirectory?
    let log: Log

    /// Microseconds: clocks differ by some.
    private static let clockTolerance: UInt64 = 2_000_000

    /// A packet that is older than one seen in an earlier run is no news, whoever shows it.
    func isNews(_ packet: SignedPacket) throws(StateError) -> Bool {
        let now = WallClock.microseconds
        if packet.timestamp > now + Self.clockTolerance {
            log.warning("\(packet.publicKey): the packet is stamped \((packet.timestamp - now) / 1_000_000) s in the future",
                        hint: "a clock is wrong; nothing is signed for this key until then")
        }
        guard let state else { return true }
        if let seen = try state.floor(of: packet.publicKey).packet, seen.isMoreRecent(than: packet) { return false }
        try state.note([packet], of: packet.publicKey, now: now)
        return true
    }

    /// Why a look-up that has come to its end brought no packet that counts; nil if it did.
    func problem(_ key: PublicKey, _ resolution: Resolution) -> CommandError? {
        for (source, reason) in resolution.failures { log.debug("\(key): \(source): \(reason)") }
        if let sequence = resolution.invalidSequence, sequence > resolution.packet?.timestamp ?? 0 {
            log.warning("\(key): the key's newest item (\(sequence)) is no packet")
        }
        if let packet = resolution.packet {
            guard let seen = try? state?.floor(of: key).packet, seen.isMoreRecent(than: packet) else { return nil }
            return CommandError(
                .tryAgain, "only a packet of \(HTTPDate.text(microseconds: packet.timestamp)) is found, older than one seen before, of "
                    + HTTPDate.text(microseconds: seen.timestamp),
                hint: "somebody shows an old one again, or the newer is forgotten: publish it again")
        }
        guard resolution.answered == 0 else { return CommandError(.keyNotFound, "nobody has a packet of this key") }
        let reasons = resolution.failures.map { "\($0.source): \($0.reason)" }.joined(separator: "; ")
        return CommandError(.unreachable, "no source answered (\(reasons))")
    }
}
