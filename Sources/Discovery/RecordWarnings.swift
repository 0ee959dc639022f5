import Iroh
import Pkarr

extension AuditReport {
    /// What is wrong with the newest packet's records as their readers see it, each in words; empty when they are valid, or when there is
    /// no packet.
    public var recordWarnings: [String] {
        guard let newest else { return [] }
        let records = newest.records
        guard !records.isEmpty else { return ["there are none"] }
        let zone = Array(key.zBase32.utf8)
        var warnings: [String] = []
        for record in records {
            let name = "\(record.name.ownerText(in: key)) \(record.type.name ?? "TYPE\(record.type.rawValue)")"
            if record.name.labels.last != zone { warnings.append("\(name) lies outside the key's zone, where nobody looks for it") }
            if record.type.name != nil, case .other = record.data { warnings.append("the data of \(name) is malformed for its type") }
        }
        let endpoint = PublishedEndpoint(RecordSet(publicKey: key, records: records))
        return warnings + (endpoint?.warnings ?? []).map(\.description)
    }
}
