import Crypto
import Discovery
import EventLoop
import Platform
import PublicationState
import StateOptions
import Toolkit

/// Audits some keys, once or again and again: one after another, so that no relay is asked more often than it allows.
final class AuditLoop {
    private let loop: EventLoop
    private let sources: Sources
    private let keys: [PublicKey]
    private let watch: Duration?
    private let state: StateDirectory?
    private var waiting: [PublicKey] = []
    private var underWay: Audit?
    private var timer: Timer!
    private var standings: Set<AuditVerdict.Standing> = []
    private var failure: (any Error)?

    init(on loop: EventLoop, _ sources: Sources, keys: [PublicKey], watch: Duration?, state: StateDirectory?) {
        self.loop = loop
        self.sources = sources
        self.keys = keys
        self.watch = watch
        self.state = state
        timer = Timer(on: loop) { [unowned self] in begin() }
    }

    /// The exit status of the worst verdict; 0 when a signal ended it.
    func run() throws -> ExitStatus {
        let service = Service(on: loop) { [unowned self] in standings = [] }
        let output = OutputWatcher(on: loop, alsoSockets: true) { [unowned self] in end(OutputClosed()) }
        begin()
        _ = withExtendedLifetime(output) { service.run() }
        if let failure { throw failure }
        let order: [(AuditVerdict.Standing, ExitStatus)] = [
            (.unanswered, .unreachable), (.notFound, .keyNotFound), (.badData, .badData), (.disagreement, .tryAgain),
        ]
        return order.first { standings.contains($0.0) }?.1 ?? .done
    }

    private func begin() {
        waiting = keys
        proceed()
    }

    private func proceed() {
        guard waiting.isEmpty else {
            underWay = Audit(of: waiting.removeFirst(), in: sources) { [unowned self] in report($0) }
            return
        }
        underWay = nil
        if let watch { timer.start(after: watch) } else { loop.stop() }
    }

    private func report(_ report: AuditReport) {
        var report = report
        do throws(StateError) { try remember(&report) } catch { return end(CommandError(error)) }
        standings.insert(AuditVerdict(report).standing)
        do {
            if let terminal = Terminal() {
                for line in AuditTable(report).lines(for: terminal) { try StandardOutput.write(line: line) }
            } else {
                for object in report.objects { try StandardOutput.write(.object(object)) }
            }
        } catch { return end(error) }
        proceed()
    }

    /// What has been seen before is what the key is measured by; what is seen now is remembered.
    private func remember(_ report: inout AuditReport) throws(StateError) {
        guard let state else { return }
        let floor = try state.floor(of: report.key).timestamp
        report.floor = floor > 0 ? floor : nil
        if let newest = report.newest { try state.note([newest], of: report.key, now: WallClock.microseconds) }
    }

    private func end(_ error: any Error) {
        failure = error
        loop.stop()
    }
}
