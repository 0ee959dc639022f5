import Discovery
import EventLoop
import JSON
import Pkarr
import Platform
import StateOptions
import Toolkit

/// Packet lines in, receipt lines out, until both are done.
final class PublishLoop {
    private let loop: EventLoop
    private let policy: PublicationQueue.Policy
    private let journal: PublicationJournal?
    private let conflicts: ConflictFile?
    private let overwrites: Bool
    private let report: PublishReport
    private var queue: PublicationQueue!
    private var reader: ObjectReader!
    private var inputEnded = false
    private var failure: (any Error)?

    init(
        on loop: EventLoop, _ publisher: Publisher, _ policy: PublicationQueue.Policy, memory: PublicationMemory?,
        journal: PublicationJournal?, conflicts: ConflictFile?, overwrites: Bool, log: Log
    ) {
        self.loop = loop
        self.policy = policy
        self.journal = journal
        self.conflicts = conflicts
        self.overwrites = overwrites
        report = PublishReport(on: loop, isEndless: policy.refresh != nil, log: log)
        queue = PublicationQueue(
            publisher, on: loop, policy, memory: memory, onReceipt: { [unowned self] in finish($0) }, onChange: { [unowned self] in react() })
        queue.onFailure = { [unowned self] in end(CommandError($0)) }
        reader = ObjectReader(on: loop) { [unowned self] in take($0) }
    }

    /// The exit status of the worst that happened: a bad line, then a newer packet, then nobody reached.
    func run() throws -> ExitStatus {
        let service = Service(on: loop) { [unowned self] in report.interrupt() }
        let output = OutputWatcher(on: loop, alsoSockets: true) { [unowned self] in end(OutputClosed()) }
        _ = withExtendedLifetime(output) { service.run() }
        report.end()
        if let failure { throw failure }
        return report.status
    }

    private func take(_ event: ObjectReader.Event) {
        switch event {
        case .object(let input):
            do throws(ObjectError) {
                let packet = try SignedPacket(json: input.object)
                let basis = overwrites ? nil : try PublicationBasis(json: input.object)
                if journal?.holds(packet) == true { report.skip() } else { queue.add(packet, onto: basis) }
            } catch { report.reject("\(input.place): \(error)", hint: "pkarr-build and pkarr-resolve write packet lines") }
        case .malformed(let error): report.reject(error.message, hint: error.hint)
        case .end: inputEnded = true
        }
        react()
    }

    private func react() {
        reader?.isPaused = queue.isFull
        if inputEnded, queue.isEmpty {
            finishJournal()
            loop.stop()
        } else if policy.refresh == nil, queue.isCutOff {
            report.giveUp("nobody has answered for \(policy.longestOutage.components.seconds) seconds; the rest has not been tried")
            loop.stop()
        }
    }

    private func finish(_ receipt: Receipt) {
        guard failure == nil else { return }
        do {
            try report.write(receipt)
            try conflicts?.note(receipt)
            if receipt.standing == .stored { try note(receipt.packet) }
        } catch { end(error) }
    }

    private func note(_ packet: SignedPacket) throws(CommandError) {
        do throws(SystemError) { try journal?.note(packet, now: WallClock.seconds) } catch {
            throw CommandError(.outputFailed, "--resume: can't write: \(error.reason)")
        }
    }

    /// A run that leaves nothing to try again needs no journal any more, and the next one begins anew.
    private func finishJournal() {
        guard let journal, failure == nil else { return }
        guard report.isComplete else { return report.suggestResuming() }
        do throws(SystemError) { try journal.remove() } catch {
            failure = CommandError(.outputFailed, "--resume: can't remove the file: \(error.reason)")
        }
    }

    private func end(_ error: any Error) {
        failure = error
        loop.stop()
    }
}
