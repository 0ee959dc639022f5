import Crypto
import Discovery
import Pkarr
import Platform
import Toolkit

/// An audit as a person reads it in a terminal.
struct AuditTable {
    private let report: AuditReport

    init(_ report: AuditReport) { self.report = report }

    func lines(for terminal: Terminal) -> [String] {
        [terminal.styled(report.key.zBase32, .strong)] + table.lines(for: terminal) + [""] + conclusion(terminal) + [""]
    }

    private var table: TextTable {
        var table = TextTable([
            .init("HAS"), .init("AGE", isNumber: true), .init("OLDER BY", isNumber: true, mayBeMissed: true), .init("SOURCE", shortest: 21),
            .init("HASH", mayBeMissed: true), .init("SIZE", isNumber: true, mayBeMissed: true), .init("TIME", isNumber: true, mayBeMissed: true),
            .init("NODE", mayBeMissed: true),
        ])
        for source in report.sources {
            switch source.place {
            case .node(let address, let id, let isClosest):
                let far = isClosest || !report.outcome(of: source).isAnswer ? nil : "farther from the key"
                row(&table, source.answer, "\(address)", node: id.map { String("\($0)".prefix(8)) }, note: far)
            case .relay(let url):
                row(&table, source.answer, url.description, note: relayNote(source.answer))
                if let network = source.network { row(&table, network, "  in its DHT", note: nil) }
            }
        }
        return table
    }

    private func row(_ table: inout TextTable, _ answer: AuditedSource.Answer, _ source: String, node: String? = nil, note: String?) {
        let outcome = report.outcome(of: answer)
        var (signed, older, hash, size) = ("", "", "", "")
        switch answer.finding {
        case .packet(let packet):
            signed = ago(packet.timestamp)
            (hash, size) = (String(packet.messageHash.prefix(8)), "\(packet.size)")
            if outcome == .older, let newest = report.newest { older = brief(microseconds: newest.timestamp - packet.timestamp) }
        case .noPacket(let sequence, let value):
            signed = ago(sequence)
            if let value { (hash, size) = (String(hexadecimal(sha256(value)).prefix(8)), "\(value.count)") }
        default: break
        }
        var notes = [answer.problem, note].compactMap(\.self)
        if case .refused(let code?, _) = answer.finding { notes.insert("error \(code)", at: 0) }
        let time = answer.roundTrip.map { brief($0) } ?? ""
        table.add([outcome.rawValue, signed, older, source, hash, size, time, node ?? ""], style: outcome.style, note: notes.joined(separator: "; "))
    }

    /// What a relay says beside the packet.
    private func relayNote(_ answer: AuditedSource.Answer) -> String? {
        var notes: [String] = []
        if let seen = answer.lastSeen { notes.append("last seen in the DHT \(ago(seen)) ago") }
        if let seconds = answer.cachedFor { notes.append("\(seconds) s in an HTTP cache") }
        return notes.isEmpty ? nil : notes.joined(separator: ", ")
    }

    private func ago(_ timestamp: UInt64) -> String {
        timestamp > report.time ? "in \(brief(microseconds: timestamp - report.time))" : brief(microseconds: report.time - timestamp)
    }

    /// The verdict, which stands last: there a person looks first.
    private func conclusion(_ terminal: Terminal) -> [String] {
        let verdict = AuditVerdict(report)
        var lines: [String] = []
        if let newest = report.newest {
            lines += terminal.wrapped(
                "newest packet: \(HTTPDate.text(microseconds: newest.timestamp)), timestamp \(newest.timestamp), \(newest.size) bytes, "
                    + "\(counted(newest.records.count, "record", "records")), SHA-256 \(newest.messageHash)")
        }
        if report.lookup != nil { lines += terminal.wrapped("nodes: \(tally(report.nodes))") }
        if !report.relays.isEmpty { lines += terminal.wrapped("relays: \(tally(report.relays))") }
        let words = verdict.problems.isEmpty ? verdict.word : verdict.problems.map(\.word).joined(separator: ", ")
        lines.append(terminal.styled("verdict: \(words)", verdict.problems.isEmpty ? .good : .bad))
        lines += terminal.wrapped(verdict.text, indentation: 2)
        if let advice = verdict.advice { lines += ["advice:"] + terminal.wrapped(advice, indentation: 2) }
        return lines
    }

    /// `43 asked, 20 newest, 23 nothing`
    private func tally(_ sources: [AuditedSource]) -> String {
        let counts = AuditReport.Outcome.allCases.map { outcome in (outcome, sources.count { report.outcome(of: $0) == outcome }) }
        return (["\(sources.count) asked"] + counts.filter { $0.1 > 0 }.map { "\($0.1) \($0.0.rawValue)" }).joined(separator: ", ")
    }
}

extension AuditReport.Outcome {
    fileprivate var style: Terminal.Style {
        switch self {
        case .newest: .good
        case .older, .different, .late, .rateLimited: .doubtful
        case .nothing, .silent: .faint
        case .noPacket, .invalid, .refused, .failed, .unreachable: .bad
        }
    }
}
