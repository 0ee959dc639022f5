import Diagnosis
import JSON
import Platform
import Toolkit

/// Shows a diagnosis: lines for a person in a terminal, else objects.
final class Report {
    /// Columns of the mark and of the step; the longest are `ok` and `port-mapping`.
    private static let stepWidth = 12, timeWidth = 8

    /// Why the command has to end early; ``Service/finish(_:)`` has been called then.
    private(set) var failure: (any Error)?
    /// Of the verdict.
    private(set) var status = ExitStatus.done
    private let terminal = Terminal()
    private let service: Service

    init(on service: Service) { self.service = service }

    func show(_ finding: Finding) {
        write { terminal in
            let (mark, style): (String, Terminal.Style) = switch finding.isGood {
            case true?: ("ok", .good)
            case false?: ("no", .bad)
            case nil: (" -", .faint)
            }
            let step = finding.step.rawValue, time = finding.time.map { brief($0) } ?? ""
            let columns = "  \(padding(step, Self.stepWidth, isLeft: false))  \(padding(time, Self.timeWidth, isLeft: true))  "
            let head = terminal.styled(mark, style) + columns, indentation = mark.utf8.count + columns.utf8.count
            var lines = terminal.wrapped(finding.text, indentation: indentation)
            lines[0] = head + lines[0].dropFirst(indentation)
            return lines
        } objects: { .object(finding.json) }
    }

    /// Shows the verdict, and ends the command.
    func end(_ facts: Facts) {
        let verdict = Verdict(facts)
        status = facts.status
        write { terminal in
            let words = ([verdict.outcome] + verdict.problems.map(\.rawValue).filter { $0 != verdict.outcome }).joined(separator: ", ")
            let style: Terminal.Style = status != .done ? .bad : verdict.problems.isEmpty ? .good : .doubtful
            var lines = ["", terminal.styled("verdict: \(words)", style)] + terminal.wrapped(verdict.text, indentation: 2)
            if let advice = verdict.advice { lines += ["advice:"] + terminal.wrapped(advice, indentation: 2) }
            return lines
        } objects: { .object(verdict.json(status: status.rawValue)) }
        if failure == nil { service.finish(status) }
    }

    func fail(_ error: any Error) {
        if failure == nil { failure = error }
        service.finish(.done)
    }

    private func write(lines: (Terminal) -> [String], objects: () -> JSONValue) {
        guard failure == nil else { return }
        do {
            if let terminal { for line in lines(terminal) { try StandardOutput.write(line: line) } } else { try StandardOutput.write(objects()) }
        } catch { fail(error) }
    }

    private func padding(_ text: String, _ width: Int, isLeft: Bool) -> String {
        let space = String(repeating: " ", count: max(0, width - text.utf8.count))
        return isLeft ? space + text : text + space
    }
}

extension Facts {
    /// The exit status that stands for the verdict.
    fileprivate var status: ExitStatus {
        switch problems.first(where: \.isFatal) {
        case nil: .done
        case .noPacket?, .noEndpoint?: .keyNotFound
        case .wrongPeer?: .wrongPeer
        case .relayRefuses?: .permission
        case .incomplete?: .tryAgain
        default: .unreachable
        }
    }
}
