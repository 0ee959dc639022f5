import Crypto
import Discovery
import EventLoop
import Pkarr
import Platform
import PublicationState
import StateOptions
import Toolkit

/// Looks for the packets of some keys, once or again and again.
final class ResolveLoop {
    /// Look-ups at once.
    private static let mostUnderWay = 16

    private let loop: EventLoop
    private let resolver: Resolver
    private let watch: Duration?
    private let state: StateDirectory?
    private let log: Log
    private var waiting: [PublicKey]
    private var searches: [PublicKey: Search] = [:]
    private var printed: [PublicKey: SignedPacket] = [:]
    private var timers: [PublicKey: Timer] = [:]
    private var statuses: Set<ExitStatus> = []
    private var failure: (any Error)?

    init(on loop: EventLoop, _ sources: Sources, keys: [PublicKey], watch: Duration?, state: StateDirectory?, log: Log) {
        self.loop = loop
        resolver = Resolver(sources)
        waiting = keys
        self.watch = watch
        self.state = state
        self.log = log
    }

    /// The exit status of the worst that happened: a key for which no source answered, then one that nobody has, then one of which
    /// there is only an old packet.
    func run() throws -> ExitStatus {
        let service = Service(on: loop) { [unowned self] in statuses = [] }
        let output = OutputWatcher(on: loop, alsoSockets: true) { [unowned self] in end(OutputClosed()) }
        proceed()
        _ = withExtendedLifetime(output) { service.run() }
        if let failure { throw failure }
        return [.unreachable, .keyNotFound, .tryAgain].first { statuses.contains($0) } ?? .done
    }

    private func proceed() {
        while searches.count < Self.mostUnderWay, !waiting.isEmpty {
            let key = waiting.removeFirst()
            searches[key] = resolver.resolve(key) { [unowned self] event in
                switch event {
                case .packet(let packet): take(packet)
                case .finished(let resolution): finish(key, resolution)
                }
            }
        }
        if watch == nil, searches.isEmpty { loop.stop() }
    }

    private func take(_ packet: SignedPacket) {
        let key = packet.publicKey
        do throws(StateError) {
            // What slower sources have may be as new as what was seen before.
            guard try isNews(packet) else { return }
        } catch { return end(CommandError(error)) }
        if printed[key].map({ packet.isMoreRecent(than: $0) }) ?? true {
            printed[key] = packet
            do { try StandardOutput.write(.object(packet.json)) } catch { return end(error) }
        }
        // Once is once: what slower sources would add is not waited for.
        guard watch == nil else { return }
        searches.removeValue(forKey: key)?.cancel()
        proceed()
    }

    private func finish(_ key: PublicKey, _ resolution: Resolution) {
        searches[key] = nil
        explain(key, resolution)
        if let watch {
            timers[key] = Timer(on: loop) { [unowned self] in
                waiting.append(key)
                proceed()
            }
            timers[key]?.start(after: watch)
        }
        proceed()
    }

    /// A packet that is older than one seen in an earlier run is no news, whoever shows it.
    private func isNews(_ packet: SignedPacket) throws(StateError) -> Bool {
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

    /// Microseconds: clocks differ by some.
    private static let clockTolerance: UInt64 = 2_000_000

    private func explain(_ key: PublicKey, _ resolution: Resolution) {
        for (source, reason) in resolution.failures { log.debug("\(key): \(source): \(reason)") }
        if let sequence = resolution.invalidSequence, sequence > resolution.packet?.timestamp ?? 0 {
            log.warning("\(key): the key's newest item (\(sequence)) is no packet")
        }
        if let packet = resolution.packet {
            guard let seen = try? state?.floor(of: key).packet, seen.isMoreRecent(than: packet) else { return }
            log.error("\(key): only a packet of \(HTTPDate.text(microseconds: packet.timestamp)) is found, older than one seen before, of "
                          + HTTPDate.text(microseconds: seen.timestamp),
                      hint: "somebody shows an old one again, or the newer is forgotten: publish it again")
            statuses.insert(.tryAgain)
        } else if resolution.answered == 0 {
            let reasons = resolution.failures.map { "\($0.source): \($0.reason)" }.joined(separator: "; ")
            log.error("\(key): no source answered (\(reasons))")
            statuses.insert(.unreachable)
        } else {
            log.error("\(key): nobody has a packet of this key")
            statuses.insert(.keyNotFound)
        }
    }

    private func end(_ error: any Error) {
        failure = error
        loop.stop()
    }
}
