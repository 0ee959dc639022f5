import Crypto
import EventLoop
import Glibc
import JSON
import Pkarr
import Platform
import PublicationState
import StateOptions
import Toolkit

/// Lines in, packets out.
final class Building {
    /// A packet stamped so little in the future is waited for: clocks differ.
    private static let longestWait: Duration = .seconds(2)

    private let publicKey: PublicKey
    private var builder: PacketBuilder
    private let every: Duration?
    private let at: UInt64?
    private let state: StateDirectory?
    private let log: Log
    private let stage: Stage
    private var beat: Timer?
    /// How long packets of others are left alone after they were signed.
    private let settling: Duration
    /// The newest of those, and when its time has come.
    private var unsettled: (packet: SignedPacket, missingIn: UInt64?)?
    private var settled: Timer?
    /// Timestamps of what has been printed, which need not settle.
    private var printed: Set<UInt64> = []

    init(
        key: SecretKey, composition: Composition, every: Duration?, settling: Duration, at: UInt64?, state: StateDirectory?, log: Log
    ) {
        publicKey = key.publicKey
        let stamping: Stamping = at != nil ? .exact : every != nil ? .deferring : .deferringWhenMerging
        builder = PacketBuilder(key: key, composition: composition, stamping: stamping)
        self.every = every
        self.settling = every == nil ? .zero : settling
        self.at = at
        self.state = state
        self.log = log
        stage = Stage(log: log)
    }

    func run() throws -> ExitStatus {
        if let every {
            beat = Timer(on: stage.loop) { [unowned self] in
                beat?.start(after: every)
                stage.attempt { try publish { now throws(PacketBuilder.Failure) in try builder.renew(now: now) } }
            }
            beat?.start(after: every)
        }
        return try stage.run { [self] in try take($0) } end: { [self] in
            try mergeUnsettled()
            try publish { now throws(PacketBuilder.Failure) in
                let outcome = try builder.finish(now: now)
                if outcome == nil { log.warning("nothing to sign: no records on standard input or in a file, and no packet") }
                return outcome
            }
        }
    }

    private func take(_ input: InputObject) throws {
        if input.object["payload"] != nil {
            try take(try SignedPacket(json: input.object))
        } else if input.object["unmerged"] != nil {
            try take(receipt: input.object)
        } else if input.object["records"] != nil {
            let records = try RecordSet(json: input.object, for: publicKey).records
            try publish { now throws(PacketBuilder.Failure) in try builder.take(records, now: now) }
        } else {
            throw CommandError(.badData, "\(input.place): neither records nor a packet nor a receipt",
                               hint: input.object["endpoint_id"] == nil ? nil : "iroh-txt encode makes records of an endpoint")
        }
    }

    /// A receipt shows packets that others have published meanwhile.
    private func take(receipt: JSONObject) throws {
        guard let timestamp = receipt["timestamp"]?.integerValue, timestamp >= 0 else { throw ObjectError("timestamp", "no timestamp") }
        for (index, value) in try receipt.array("unmerged").enumerated() {
            do {
                guard let object = value.objectValue else { throw ObjectError("", "expected an object, found \(value.typeName)") }
                try take(try SignedPacket(json: object), missingIn: UInt64(timestamp))
            } catch let error as ObjectError { throw error.inside("unmerged[\(index)]") }
        }
    }

    private func take(_ packet: SignedPacket, missingIn other: UInt64? = nil) throws {
        guard packet.publicKey == publicKey else {
            throw ObjectError("public_key", "the packet is \(packet.publicKey)'s, the key file is \(publicKey)'s")
        }
        let ahead = Duration.microseconds(Int64(clamping: packet.timestamp - min(packet.timestamp, now)))
        if ahead > Self.longestWait {
            log.warning("a packet of \(publicKey) is stamped \(ahead.components.seconds) s in the future", hint: Self.clockHint)
        }
        let isOurs = printed.contains(packet.timestamp)
        guard settling > .zero, ahead <= Self.longestWait, !printed.isEmpty, !isOurs else { return try merge(packet, missingIn: other) }
        let age = Duration.microseconds(Int64(clamping: now - min(packet.timestamp, now)))
        guard age < settling else { return try merge(packet, missingIn: other) }
        if let unsettled, unsettled.packet.isMoreRecent(than: packet) { return }
        unsettled = (packet, other)
        settled = settled ?? Timer(on: stage.loop) { [unowned self] in
            stage.attempt { try mergeUnsettled() }
        }
        settled?.start(after: settling - age)
    }

    private func mergeUnsettled() throws {
        guard let next = unsettled else { return }
        unsettled = nil
        try merge(next.packet, missingIn: next.missingIn)
    }

    private func merge(_ packet: SignedPacket, missingIn other: UInt64?) throws {
        try publish(seen: packet) { now throws(PacketBuilder.Failure) in try builder.take(packet, missingIn: other, now: now) }
    }

    private static let clockHint = "set the clock of this machine, or of whoever else signs for the key"

    private var now: UInt64 { at ?? WallClock.microseconds }

    private func publish(seen: SignedPacket? = nil, _ step: (UInt64) throws(PacketBuilder.Failure) -> PacketBuilder.Outcome?) throws {
        let outcome: PacketBuilder.Outcome?
        do { outcome = try attempt(seen: seen, step) } catch let failure as PacketBuilder.Failure {
            guard case .outranked(let last) = failure, at == nil, last <= now + UInt64(Self.longestWait.nanoseconds / 1000) else {
                throw commandError(failure)
            }
            // From outranked on the builder is as it was, except that it knows what it has been given.
            while now <= last { usleep(UInt32(last - now + 1)) }
            do { outcome = try attempt(seen: nil) { now throws(PacketBuilder.Failure) in try builder.renew(now: now) } } catch let failure as PacketBuilder.Failure {
                throw commandError(failure)
            }
        }
        guard let outcome, let packet = outcome.packet else { return }
        for notice in outcome.notices { say(notice, of: packet) }
        var object = packet.json
        object["previous"] = outcome.previous.map { .integer(Int64($0)) } ?? .null
        if !outcome.known.isEmpty { object["known"] = .array(outcome.known.map { .integer(Int64($0)) }) }
        try StandardOutput.write(.object(object))
        printed.insert(packet.timestamp)
        if let every { beat?.start(after: every) }
    }

    /// Runs a step of the builder, and remembers what it signs before anybody sees it.
    private func attempt(
        seen: SignedPacket?, _ step: (UInt64) throws(PacketBuilder.Failure) -> PacketBuilder.Outcome?
    ) throws -> PacketBuilder.Outcome? {
        guard let state else { return try step(now) }
        do {
            return try state.update(publicKey, durably: true) { floor in
                builder.remember(floor: floor.timestamp, packet: floor.packet)
                if let seen { floor.note(seen, now: now) }
                let outcome = try step(now)
                if let packet = outcome?.packet { floor.raise(to: packet.timestamp) }
                return outcome
            }
        } catch let error as StateError { throw CommandError(error) }
    }

    private func commandError(_ failure: PacketBuilder.Failure) -> CommandError {
        switch failure {
        case .tooLong(let budget):
            CommandError(.badData, "the records take \(budget.total) bytes, a packet holds \(SignedPacket.maximumMessageSize)",
                         hint: "bytes of each: \(budget.description(zone: publicKey))")
        case .outranked(let last):
            CommandError(.tryAgain, "a packet of \(publicKey) is stamped later than now; nothing is signed before \(HTTPDate.text(microseconds: last))",
                         hint: "\(Self.clockHint); nodes forget a packet that nobody puts again\(stateHint)")
        case .noLaterTimestamp:
            CommandError(.badData, "the newest packet of \(publicKey) has the last timestamp there is; nothing can replace it")
        }
    }

    private func say(_ notice: PacketBuilder.Notice, of packet: SignedPacket) {
        switch notice {
        case .overwritten: log.notice("somebody has replaced our packet of \(publicKey) with a newer one; merged again")
        case .notStoredEverywhere(let budget):
            log.warning("the records take \(budget.total) bytes; most nodes of the DHT store at most \(SignedPacket.storedEverywhereMessageSize)",
                        hint: "bytes of each: \(budget.description(zone: publicKey))")
        }
    }

    private var stateHint: String { state.map { "; then remove \($0.file(publicKey, "floor"))" } ?? "" }
}
