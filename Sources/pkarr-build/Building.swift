import Crypto
import EventLoop
import Iroh
import JSON
import Pkarr
import Platform
import Toolkit

/// Lines in, packets out.
final class Building {
    private let publicKey: PublicKey
    private var builder: PacketBuilder
    private let every: Duration?
    private let at: UInt64?
    private let log: Log
    private let stage: Stage
    private var beat: Timer?

    init(key: SecretKey, defaults: [ResourceRecord], every: Duration?, at: UInt64?, log: Log) {
        publicKey = key.publicKey
        let names = EndpointAddress.recordNames(in: key.publicKey)
        builder = PacketBuilder(key: key, ownSets: Set(names.map { RRset(name: $0, type: .txt) }), defaults: defaults)
        self.every = every
        self.at = at
        self.log = log
        stage = Stage(log: log)
    }

    func run() throws -> ExitStatus {
        if every != nil {
            beat = Timer(on: stage.loop) { [unowned self] in
                startBeat()
                stage.attempt { try publish { now throws(PacketBuilder.Failure) in try builder.renew(now: now) } }
            }
            startBeat()
        }
        return try stage.run { [self] in try take($0) } end: { [self] in
            try publish { now throws(PacketBuilder.Failure) in
                let outcome = try builder.finish(now: now)
                if outcome == nil { log.warning("nothing to sign: no records on standard input or in a file, and no packet") }
                return outcome
            }
        }
    }

    private func startBeat() { if let every { beat?.start(after: every) } }

    private func take(_ input: InputObject) throws {
        if input.object["payload"] != nil {
            let packet = try SignedPacket(json: input.object)
            guard packet.publicKey == publicKey else {
                throw ObjectError("public_key", "the packet is \(packet.publicKey)'s, the key file is \(publicKey)'s")
            }
            try publish { now throws(PacketBuilder.Failure) in try builder.take(packet, now: now) }
        } else if input.object["records"] != nil {
            let records = try RecordSet(json: input.object, for: publicKey).records
            try publish { now throws(PacketBuilder.Failure) in try builder.take(records, now: now) }
        } else {
            throw CommandError(.badData, "\(input.place): neither records nor a packet",
                               hint: input.object["endpoint_id"] == nil ? nil : "iroh-txt encode makes records of an endpoint")
        }
    }

    private func publish(_ step: (UInt64) throws(PacketBuilder.Failure) -> PacketBuilder.Outcome?) throws {
        let outcome: PacketBuilder.Outcome?
        do throws(PacketBuilder.Failure) { outcome = try step(at ?? WallClock.microseconds) } catch { throw commandError(error) }
        guard let outcome, let packet = outcome.packet else { return }
        for notice in outcome.notices { say(notice, of: packet) }
        try StandardOutput.write(.object(packet.json))
        startBeat()
    }

    private func commandError(_ failure: PacketBuilder.Failure) -> CommandError {
        switch failure {
        case .tooLong(let budget):
            CommandError(.badData, "the records take \(budget.total) bytes, a packet holds \(SignedPacket.maximumMessageSize)",
                         hint: "bytes of each: \(budget.description(zone: publicKey))")
        case .noLaterTimestamp:
            CommandError(.badData, "the newest packet of \(publicKey) has the last timestamp there is; nothing can replace it")
        }
    }

    private func say(_ notice: PacketBuilder.Notice, of packet: SignedPacket) {
        switch notice {
        case .overwritten: log.notice("somebody has replaced our packet of \(publicKey) with a newer one; merged again")
        case .seenInFuture(let microseconds):
            log.warning("the newest packet of \(publicKey) is stamped \(seconds(microseconds)) s in the future; this one is stamped right after it",
                        hint: "set the clock of this machine, or of whoever else signs for the key")
        case .notStoredEverywhere(let budget):
            log.warning("the records take \(budget.total) bytes; most nodes of the DHT store at most \(SignedPacket.storedEverywhereMessageSize)",
                        hint: "bytes of each: \(budget.description(zone: publicKey))")
        }
    }

    /// Rounded up, so that it is never 0.
    private func seconds(_ microseconds: UInt64) -> UInt64 { (microseconds - 1) / 1_000_000 + 1 }
}
