import Discovery
import EventLoop
import JSON
import Pkarr
import Platform
import Toolkit

/// Packet lines in, receipt lines out, until both are done.
final class PublishLoop {
    private let loop: EventLoop
    private let log: Log
    private var queue: PublicationQueue!
    private var reader: ObjectReader!
    private var inputEnded = false
    private var statuses: Set<ExitStatus> = []
    private var failure: (any Error)?

    init(on loop: EventLoop, _ sources: Sources, refresh: Duration?, log: Log) {
        self.loop = loop
        self.log = log
        queue = PublicationQueue(
            Publisher(sources), on: loop, refresh: refresh, onReceipt: { [unowned self] in report($0) },
            onChange: { [unowned self] in react() })
        reader = ObjectReader(on: loop) { [unowned self] in take($0) }
    }

    /// The exit status of the worst that happened: a bad line, then a newer packet, then nobody reached.
    func run() throws -> ExitStatus {
        let service = Service(on: loop) { [unowned self] in statuses = [] }
        let output = OutputWatcher(on: loop, alsoSockets: true) { [unowned self] in end(OutputClosed()) }
        _ = withExtendedLifetime(output) { service.run() }
        if let failure { throw failure }
        return [.badData, .tryAgain, .unreachable].first { statuses.contains($0) } ?? .done
    }

    private func take(_ event: ObjectReader.Event) {
        switch event {
        case .object(let input):
            do throws(ObjectError) { queue.add(try SignedPacket(json: input.object)) } catch {
                reject("\(input.place): \(error)", hint: "pkarr-build and pkarr-resolve write packet lines")
            }
        case .malformed(let error): reject(error.message, hint: error.hint)
        case .end: inputEnded = true
        }
        react()
    }

    private func reject(_ message: String, hint: String?) {
        log.error(message, hint: hint)
        statuses.insert(.badData)
    }

    private func react() {
        reader?.isPaused = queue.isFull
        if inputEnded, queue.isEmpty { loop.stop() }
    }

    private func report(_ receipt: Receipt) {
        do { try StandardOutput.write(.object(receipt.json)) } catch { return end(error) }
        let key = receipt.packet.publicKey.zBase32
        for relay in receipt.relays where relay.publication.outcome != .stored {
            let status = relay.publication.status.map { ", status \($0)" } ?? ""
            let reason = relay.publication.error.map { ": \($0)" } ?? ""
            log.debug("\(key): relay \(relay.url): \(relay.publication.outcome.rawValue)\(status)\(reason)")
        }
        if receipt.isOvertaken {
            log.warning("\(key): somebody has published a newer packet", hint: "resolve it and build on it: pkarr-resolve | pkarr-build")
            statuses.insert(.tryAgain)
        } else if !receipt.isStored {
            log.warning("\(key): no node and no relay has stored the packet\(receipt.problem.map { " (\($0))" } ?? "")")
            statuses.insert(receipt.hasConflicts ? .tryAgain : .unreachable)
        }
    }

    private func end(_ error: any Error) {
        failure = error
        loop.stop()
    }
}

extension Receipt {
    /// Why nobody has stored the packet, as far as there is one reason.
    fileprivate var problem: String? {
        var reasons = dht.map { [$0.lookup.ending.problem.map { "DHT: \($0)" } ?? "DHT: refused or unanswered"] } ?? []
        reasons += relays.map { "\($0.url): \($0.publication.error ?? $0.publication.status.map { "status \($0)" } ?? $0.publication.outcome.rawValue)" }
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }
}
