import Crypto
import JSON
import Mainline
import Pkarr
import Platform

extension AuditReport {
    /// The `audit` objects: one for each source, the verdict last.
    public var objects: [JSONObject] { sources.map { json($0) } + [verdictJSON] }

    private func json(_ source: AuditedSource) -> JSONObject {
        var object = JSONObject(members: [("public_key", .string(key.zBase32))])
        switch source.place {
        case .node(let address, let id, let isClosest):
            object["source"] = "node"
            object["address"] = .string("\(address)")
            object["node_id"] = id.map { .string("\($0)") }
            object["closest"] = .bool(isClosest)
        case .relay(let url):
            object["source"] = "relay"
            object["url"] = .string(url.description)
        }
        for member in members(source.answer) { object[member.name] = member.value }
        object["network"] = source.network.map { .object(JSONObject(members: members($0))) }
        return object
    }

    private func members(_ answer: AuditedSource.Answer) -> [(name: String, value: JSONValue)] {
        var members: [(name: String, value: JSONValue)] = [("outcome", .string(outcome(of: answer).rawValue))]
        func add(_ name: String, _ value: JSONValue?) { if let value { members.append((name, value)) } }
        switch answer.finding {
        case .packet(let packet):
            members += describe(packet.timestamp, packet.message)
            if let newest, packet.timestamp < newest.timestamp { add("older_by_us", .integer(Int64(newest.timestamp - packet.timestamp))) }
        case .noPacket(let sequence, let value): members += describe(sequence, value)
        case .refused(let code, _): add("code", code.map { .integer($0) })
        default: break
        }
        add("status", answer.status.map { .integer(Int64($0)) })
        add("last_seen", answer.lastSeen.map { .integer(Int64(clamping: $0)) })
        add("cached_s", answer.cachedFor.map { .integer(Int64(clamping: $0)) })
        add("redirected_to", answer.redirectedTo.map { .string($0) })
        add("round_trip_ms", answer.roundTrip.map { .milliseconds($0) })
        if case .refused(.some, let text) = answer.finding { add("message", .string(text)) } else { add("error", answer.problem.map { .string($0) }) }
        return members
    }

    private func describe(_ timestamp: UInt64, _ message: [UInt8]?) -> [(name: String, value: JSONValue)] {
        var members: [(name: String, value: JSONValue)] = [
            ("timestamp", .integer(Int64(clamping: timestamp))), ("age_s", .integer(age(of: timestamp))),
        ]
        if let message {
            members.append(("size", .integer(Int64(message.count))))
            members.append(("hash", .string(hexadecimal(sha256(message)))))
        }
        return members
    }

    /// Whole seconds since a timestamp; negative for one in the future.
    private func age(of timestamp: UInt64) -> Int64 { (Int64(clamping: time) - Int64(clamping: timestamp)) / 1_000_000 }

    private var verdictJSON: JSONObject {
        let verdict = AuditVerdict(self)
        var object = JSONObject(members: [
            ("public_key", .string(key.zBase32)), ("outcome", .string(verdict.word)), ("verdict", .string(verdict.text)),
            ("advice", verdict.advice.map { .string($0) } ?? .null),
            ("problems", .array(verdict.problems.map { .string($0.word) })),
        ])
        for member in newest.map({ describe($0.timestamp, $0.message) }) ?? [] { object[member.name] = member.value }
        object["records"] = newest.map { .integer(Int64($0.records.count)) }
        object["record_warnings"] = .array(recordWarnings.map { .string($0) })
        object["well_stored"] = .bool(isWellStored)
        object["in_future"] = .bool(aheadBy != nil)
        object["floor"] = floor.map { .integer(Int64(clamping: $0)) }
        object["newer_item"] = invalidSequence.flatMap { $0 > newest?.timestamp ?? 0 ? .integer(Int64(clamping: $0)) : nil } ?? .null
        var counts = counts(nodes)
        counts["closest"] = .integer(Int64(nodes.count(where: \.isClosest)))
        counts["lookup"] = lookup.map { .string($0.word) }
        object["nodes"] = lookup == nil ? .null : .object(counts)
        object["relays"] = .object(self.counts(relays))
        object["lagging_relays"] = .array(laggingRelays.map { .string($0.description) })
        object["time"] = .integer(Int64(clamping: time))
        return object
    }

    /// How many there are of each outcome.
    private func counts(_ sources: [AuditedSource]) -> JSONObject {
        var object = JSONObject(members: [
            ("asked", .integer(Int64(sources.count))), ("answered", .integer(Int64(sources.count { outcome(of: $0).isAnswer }))),
        ])
        for outcome in Outcome.allCases { object[outcome.member] = .integer(Int64(count(sources, outcome))) }
        return object
    }
}

extension AuditReport.Outcome {
    /// The word as the name of a member.
    fileprivate var member: String { String(rawValue.map { $0 == "-" ? "_" : $0 }) }
}

extension JSONValue {
    /// A span in milliseconds, to the microsecond.
    static func milliseconds(_ duration: Duration) -> JSONValue { .real(Double(duration.nanoseconds / 1000) / 1000) }
}
