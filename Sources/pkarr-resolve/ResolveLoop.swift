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
    private let judge: Judge
    private var waiting: [PublicKey]
    private var searches: [PublicKey: Search] = [:]
    private var printed: [PublicKey: SignedPacket] = [:]
    private var timers: [PublicKey: Timer] = [:]
    private var statuses: Set<ExitStatus> = []
    private var failure: (any Error)?

    init(on loop: EventLoop, _ sources: Sources, _ judge: Judge, keys: [PublicKey], watch: Duration?) {
        self.loop = loop
        resolver = Resolver(sources)
        waiting = keys
        self.watch = watch
        self.judge = judge
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
            guard try judge.isNews(packet) else { return }
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
        if let problem = judge.problem(key, resolution) {
            judge.log.error("\(key): \(problem.message)", hint: problem.hint)
            statuses.insert(problem.status)
        }
        if let watch {
            timers[key] = Timer(on: loop) { [unowned self] in
                waiting.append(key)
                proceed()
            }
            timers[key]?.start(after: watch)
        }
        proceed()
    }

    private func end(_ error: any Error) {
        failure = error
        loop.stop()
    }
}
