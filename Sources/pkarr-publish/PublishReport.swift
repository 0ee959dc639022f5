import Discovery
import EventLoop
import Glibc
import JSON
import Platform
import PublicationState
import StateOptions
import Toolkit

/// What a run writes: receipts for programs, and for a person how far it is, what went wrong, and what it came to. And its exit status.
final class PublishReport {
    /// Packets that are told of one by one; of the others of a run the receipts tell, and the sum at its end.
    private static let mostWarnings = 20

    private let log: Log
    /// With a refresh there is no end that a sum could be drawn at.
    private let isEndless: Bool
    private var tally = PublicationTally()
    private var progress: Progress
    private var line: ProgressLine?
    private var warnings = 0
    private var rejected = 0
    private var wasInterrupted = false
    private var statuses: Set<ExitStatus> = []
    private var lastStored: Instant?
    private var standing: StatusReport!

    init(on loop: EventLoop, isEndless: Bool, log: Log) {
        self.log = log
        self.isEndless = isEndless
        progress = Progress(total: nil, now: .now)
        standing = StatusReport(on: loop, log: log) { [unowned self] in text }
        guard !isEndless else { return }
        line = ProgressLine(on: loop) { [unowned self] in "\(log.command): \(progress.text(now: .now))" }
        // Only who is shown a total has to pay for it.
        if line != nil { progress = Progress(total: StandardInput.remainingLines, now: .now) }
    }

    /// The exit status of the worst that happened: a bad line, then a damaged file, then a newer packet, then nobody reached.
    var status: ExitStatus {
        wasInterrupted ? .done : [.badData, .configuration, .tryAgain, .unreachable].first { statuses.contains($0) } ?? .done
    }

    /// Whether nothing is left that another run could achieve.
    var isComplete: Bool { tally.count(.unreachable) == 0 && tally.count(.conflict) == 0 }

    /// For the status line.
    private var text: String {
        line?.clear()
        let age = lastStored.map { "last stored \((Instant.now - $0).components.seconds) s ago" } ?? "nothing stored yet"
        return "\(progress.done) packets done, \(progress.failed) of them not stored, \(age)"
    }

    func skip() {
        progress.done += 1
        progress.skipped += 1
    }

    func reject(_ message: String, hint: String?) {
        progress.done += 1
        progress.failed += 1
        rejected += 1
        line?.clear()
        log.error(message, hint: hint)
        statuses.insert(.badData)
    }

    func interrupt() { wasInterrupted = true }

    func giveUp(_ message: String) {
        line?.clear()
        log.error(message)
        statuses.insert(.unreachable)
    }

    func suggestResuming() {
        line?.clear()
        log.notice("run it again with the same --resume to try what is not stored")
    }

    /// - Throws: When standard output can't be written.
    func write(_ receipt: Receipt) throws {
        if let terminal = Terminal() {
            line?.clear()
            try show(receipt, in: terminal)
        } else {
            try StandardOutput.write(.object(receipt.json))
        }
        if !isEndless { tally.note(receipt) }
        progress.done += 1
        if receipt.standing == .stored { lastStored = .now }
        explain(receipt)
    }

    /// A person sees in full how a single packet fares, and of many those that have not been stored; for the others a line is enough.
    private func show(_ receipt: Receipt, in terminal: Terminal) throws {
        let table = ReceiptTable(receipt, for: terminal)
        let isSingle = isEndless || progress.done == 0 && progress.total ?? 1 <= 1
        let isFailure = receipt.standing != .stored && warnings < Self.mostWarnings
        for line in isSingle || isFailure ? table.lines : [table.line] { try StandardOutput.write(line: line) }
    }

    private func explain(_ receipt: Receipt) {
        let key = receipt.packet.publicKey.zBase32
        if log.level >= .debug { line?.clear() }
        for relay in receipt.relays where relay.publication.outcome != .stored {
            let status = relay.publication.status.map { ", status \($0)" } ?? ""
            let reason = relay.publication.error.map { ": \($0)" } ?? ""
            log.debug("\(key): relay \(relay.url): \(relay.publication.outcome.rawValue)\(status)\(reason)")
        }
        switch receipt.standing {
        case .stored: return
        case .overtaken:
            statuses.insert(.tryAgain)
            let age = receipt.newer == nil ? "another packet, which is not merged into this one" : "a newer packet"
            warn("\(key): somebody has published \(age)", hint: "resolve it and build on it: pkarr-resolve | pkarr-build; see keyhole-merging(7)")
        case .conflict where receipt.isStateDamaged:
            statuses.insert(.configuration)
            let error = receipt.obstacle.map { CommandError($0) }!
            warn("\(key): the packet was not published: \(error.message)", hint: error.hint)
        case .conflict, .refused, .unreachable:
            statuses.insert(receipt.standing == .conflict ? .tryAgain : .unreachable)
            let fate = receipt.isStored ? "the packet was stored, but is not found again" : "no node and no relay has stored the packet"
            warn("\(key): \(fate)\(receipt.problem.map { " (\($0))" } ?? "")")
        }
        progress.failed += 1
    }

    private func warn(_ message: String, hint: String? = nil) {
        warnings += 1
        guard isEndless || warnings <= Self.mostWarnings else { return }
        line?.clear()
        log.warning(message, hint: hint)
        if !isEndless, warnings == Self.mostWarnings { log.notice("further failures are only summed up; the receipts tell of each") }
    }

    /// The sum, where there is more than one packet to be summed up, or might have been.
    func end() {
        line?.end()
        guard !isEndless, progress.done > 1 || wasInterrupted else { return }
        var lines = tally.summary
        lines[0] = "\(progress.done) packet\(progress.done == 1 ? "" : "s"): \(lines[0])"
        if progress.skipped > 0 { lines[0] += ", \(progress.skipped) skipped as stored before" }
        if rejected > 0 { lines[0] += ", \(rejected) lines wrong" }
        if wasInterrupted { lines[0] += "; ended by a signal" }
        for text in lines { log.notice(text) }
    }
}

extension Receipt {
    fileprivate var isStateDamaged: Bool { if case .damaged? = obstacle { true } else { false } }

    /// Why nobody has stored the packet, as far as there is one reason.
    fileprivate var problem: String? {
        if let obstacle { return "\(obstacle)" }
        var reasons = dht.map { [$0.lookup.ending.problem.map { "DHT: \($0)" } ?? "DHT: refused or unanswered"] } ?? []
        reasons += relays.map { "\($0.url): \($0.publication.error ?? $0.publication.status.map { "status \($0)" } ?? $0.publication.outcome.rawValue)" }
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }
}
