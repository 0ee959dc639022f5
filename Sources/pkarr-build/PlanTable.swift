import Crypto
import JSON
import Pkarr
import Platform
import Toolkit

/// What would be published as a person reads it in a terminal: a record a line with what it takes, and what changes.
struct PlanTable {
    private let plan: PacketPlan
    private let key: PublicKey
    private let live: SignedPacket?

    init(_ plan: PacketPlan, of key: PublicKey, live: SignedPacket?) {
        self.plan = plan
        self.key = key
        self.live = live
    }

    func lines(for terminal: Terminal) -> [String] {
        [terminal.styled(key.zBase32, .strong)] + table.lines(for: terminal) + [""] + summary.flatMap { terminal.wrapped($0) }
    }

    private var table: TextTable {
        var table = TextTable([
            .init("CHANGE"), .init("BYTES", isNumber: true), .init("NAME"), .init("TYPE"), .init("TTL", isNumber: true, mayBeMissed: true),
            .init("DATA", shortest: 24),
        ])
        table.add(["", "\(DNSMessage.headerSize)", "", "", "", "header"], style: .faint)
        for entry in plan.entries { add(entry.record, entry.isNew ? "new" : "as is", entry.isNew ? .good : .faint, entry.size, to: &table) }
        for record in plan.removed { add(record, "gone", .bad, nil, to: &table) }
        return table
    }

    private func add(_ record: ResourceRecord, _ change: String, _ style: Terminal.Style, _ size: Int?, to table: inout TextTable) {
        table.add(
            [change, size.map { "\($0)" } ?? "", record.name.ownerText(in: key), record.typeText, "\(record.timeToLive)", record.dataText(zone: key)],
            style: style)
    }

    private var summary: [String] {
        let new = plan.entries.count { $0.isNew }
        let limit = "\(plan.size) of \(SignedPacket.maximumMessageSize) bytes, of which most nodes store \(SignedPacket.storedEverywhereMessageSize)"
        let changes = "\(plan.entries.count) records: \(plan.entries.count - new) as they are, \(new) new; \(plan.removed.count) gone"
        guard let live else { return [limit, changes, "nobody has published anything under the key, as far as is known"] }
        return [limit, changes, "compared with the packet of \(HTTPDate.text(microseconds: live.timestamp)), \(live.size) bytes"]
    }
}

extension ResourceRecord {
    /// `HTTPS`, or `TYPE65300`.
    var typeText: String { type.name ?? "TYPE\(type.rawValue)" }

    /// The data on one line, much as a master file has it.
    func dataText(zone: PublicKey) -> String {
        let object = json(zone: zone)
        var words = ["address", "priority", "target", "rdata_hex"].compactMap { object[$0].map(Self.text) }
        words += object["strings"]?.arrayValue?.map { "\"\(Self.text($0))\"" } ?? []
        for (name, value) in object["params"]?.objectValue?.members ?? [] { words.append("\(name)=\(Self.text(value))") }
        return words.joined(separator: " ")
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .array(let values): values.map(text).joined(separator: ",")
        default: value.text
        }
    }
}
