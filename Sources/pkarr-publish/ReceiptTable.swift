import Discovery
import Mainline
import Pkarr
import Platform
import Toolkit

/// A receipt as a person reads it in a terminal.
struct ReceiptTable {
    private let receipt: Receipt
    private let terminal: Terminal

    init(_ receipt: Receipt, for terminal: Terminal) {
        self.receipt = receipt
        self.terminal = terminal
    }

    /// Node by node and relay by relay.
    var lines: [String] {
        var table = TextTable([
            .init("RESULT"), .init("BEFORE", isNumber: true), .init("SOURCE", shortest: 21), .init("HASH", mayBeMissed: true),
            .init("TIME", isNumber: true, mayBeMissed: true), .init("NODE", mayBeMissed: true),
        ])
        for node in receipt.nodes { add(node, to: &table) }
        for relay in receipt.relays { add(relay, to: &table) }
        let heading = terminal.styled(receipt.packet.publicKey.zBase32, .strong)
        return [heading] + table.lines(for: terminal) + terminal.wrapped(conclusion).map { terminal.styled($0, style) } + [""]
    }

    /// One line, for one of many packets.
    var line: String { "\(receipt.packet.publicKey.zBase32)  \(terminal.styled(conclusion, style))" }

    private func add(_ node: Receipt.Node, to table: inout TextTable) {
        var (before, hash) = ("", "")
        switch node.had {
        case .nothing: before = "nothing"
        case .item(let item): (before, hash) = (compared(item), String((item.hash ?? "").prefix(8)))
        case .unknown: break
        }
        var (style, note) = (Terminal.Style.good, "")
        switch node.result {
        case .stored: break
        case .refused(let error): (style, note) = (.bad, "error \(error.code): \(error.text)")
        case .timedOut: style = .faint
        case nil: style = .doubtful
        }
        table.add(
            [node.word, before, "\(node.node.address)", hash, node.roundTrip.map { brief($0) } ?? "", String("\(node.node.id)".prefix(8))],
            style: style, note: note)
    }

    private func add(_ relay: Receipt.Relay, to table: inout TextTable) {
        let publication = relay.publication
        var notes: [String] = []
        if let status = publication.status, publication.outcome != .stored { notes.append("status \(status)") }
        if let count = publication.nodes { notes.append("stored at \(counted(count, "node", "nodes"))") }
        notes += [publication.message, publication.error].compactMap(\.self)
        let had = publication.had.map { Receipt.Item($0) }
        let style: Terminal.Style = switch publication.outcome {
        case .stored: .good
        case .overtaken, .conflict, .rateLimited: .doubtful
        case .refused, .failed, .unreachable: .bad
        default: .faint
        }
        let time = publication.status == nil ? nil : publication.roundTrip.map { brief($0) }
        table.add(
            [publication.outcome.rawValue, had.map { compared($0) } ?? "", relay.url.description, String((had?.hash ?? "").prefix(8)), time ?? "", ""],
            style: style, note: notes.joined(separator: "; "))
    }

    /// What a source had, compared with what was to be stored.
    private func compared(_ item: Receipt.Item) -> String {
        let timestamp = receipt.packet.timestamp
        if item.timestamp < timestamp { return "\(brief(microseconds: timestamp - item.timestamp)) older" }
        if item.timestamp > timestamp { return "\(brief(microseconds: item.timestamp - timestamp)) newer" }
        return item.hash == nil || item.hash == receipt.packet.messageHash ? "the same" : "different"
    }

    private var style: Terminal.Style { receipt.standing == .stored ? .good : .bad }

    private var conclusion: String {
        var stored: [String] = []
        if let dht = receipt.dht {
            stored.append(dht.nodes.isEmpty ? "no node was asked to" : "\(dht.stored) of \(counted(dht.nodes.count, "node", "nodes"))")
        }
        if !receipt.relays.isEmpty {
            let count = receipt.relays.count { $0.publication.outcome == .stored }
            stored.append("\(count) of \(counted(receipt.relays.count, "relay", "relays"))")
        }
        var text = receipt.isStored ? "stored" : "not stored"
        if !stored.isEmpty { text += ": \(stored.joined(separator: ", "))" }
        if let obstacle = receipt.obstacle { text += ": \(obstacle)" }
        if let newer = receipt.newer { text += "; a newer packet is there, signed \(HTTPDate.text(microseconds: newer))" }
        let older = receipt.unmerged.filter { $0.timestamp <= receipt.packet.timestamp }
        if !older.isEmpty { text += "; \(counted(older.count, "other packet is", "other packets are")) there that it does not contain" }
        if let isConfirmed = receipt.isConfirmed { text += isConfirmed ? "; found again" : "; not found again as it should be" }
        if receipt.isStored, let dht = receipt.dht, dht.stored < AuditReport.wellStored {
            text += "; \(AuditReport.wellStored) nodes are regarded as well stored"
        }
        return text
    }
}
