import Crypto
import JSON
import Pkarr
import PublicationState
import StateOptions
import Toolkit

/// Lines in, and at their end what would be published. Nothing is signed or remembered.
final class DryRun {
    private let key: PublicKey
    private let composition: Composition
    private let log: Log
    private let stage: Stage
    private var given: [ResourceRecord]?
    private var live: SignedPacket?

    /// - Throws: ``CommandError`` when what is remembered can't be read.
    init(key: PublicKey, composition: Composition, state: StateDirectory?, log: Log) throws(CommandError) {
        self.key = key
        self.composition = composition
        self.log = log
        stage = Stage(log: log)
        do throws(StateError) { live = try state?.floor(of: key).packet } catch { throw CommandError(error) }
    }

    func run() throws -> ExitStatus {
        var isTooLong = false
        let status = try stage.run { [self] input in try take(input) } end: { [self] in
            let plan = PacketPlan(
                composition.records(given: given, over: live?.records ?? []), fallbacks: composition.fallbacks, live: live)
            isTooLong = plan.size > SignedPacket.maximumMessageSize
            try show(plan)
        }
        return status == .done && isTooLong ? .badData : status
    }

    private func take(_ input: InputObject) throws {
        if input.object["payload"] != nil {
            let packet = try SignedPacket(json: input.object)
            guard packet.publicKey == key else {
                throw ObjectError("public_key", "the packet is \(packet.publicKey)'s, the key file is \(key)'s")
            }
            if live.map({ packet.isMoreRecent(than: $0) }) ?? true { live = packet }
        } else if input.object["records"] != nil {
            given = try RecordSet(json: input.object, for: key).records
        } else {
            throw CommandError(.badData, "\(input.place): neither records nor a packet")
        }
    }

    private func show(_ plan: PacketPlan) throws {
        if let terminal = Terminal() {
            for line in PlanTable(plan, of: key, live: live).lines(for: terminal) { try StandardOutput.write(line: line) }
        } else {
            try StandardOutput.write(.object(plan.json(key: key, live: live)))
        }
        if plan.size > SignedPacket.maximumMessageSize {
            log.error("the records take \(plan.size) bytes, a packet holds \(SignedPacket.maximumMessageSize)")
        } else if plan.size > SignedPacket.storedEverywhereMessageSize {
            log.warning("the records take \(plan.size) bytes; most nodes of the DHT store at most \(SignedPacket.storedEverywhereMessageSize)")
        }
        for record in plan.unused {
            let what = "\(record.name.ownerText(in: key)) \(record.typeText) \(record.dataText(zone: key))"
            log.warning("\(what) gives way to what is published under its name already")
        }
    }
}

extension PacketPlan {
    /// The `plan` object.
    func json(key: PublicKey, live: SignedPacket?) -> JSONObject {
        let records = entries.map { entry -> JSONValue in
            var object = entry.record.json(zone: key)
            object["size"] = .integer(Int64(entry.size))
            object["new"] = .bool(entry.isNew)
            return .object(object)
        }
        func plain(_ records: [ResourceRecord]) -> JSONValue { .array(records.map { .object($0.json(zone: key)) }) }
        return JSONObject(members: [
            ("public_key", .string(key.zBase32)), ("size", .integer(Int64(size))),
            ("room", .integer(Int64(SignedPacket.maximumMessageSize - size))),
            ("live", live.map { ["timestamp": .integer(Int64($0.timestamp)), "size": .integer(Int64($0.size))] } ?? .null),
            ("planned", .array(records)), ("removed", plain(removed)), ("unused", plain(unused)),
        ])
    }
}
