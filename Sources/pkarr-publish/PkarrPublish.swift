import ArgumentParser
import Discovery
import DiscoveryOptions
import EventLoop
import Glibc
import Platform
import Toolkit

@main
struct PkarrPublish: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "pkarr-publish",
        abstract: "Publish signed packets on the Mainline DHT and on pkarr relays.",
        discussion: """
            Reads packet lines, writes a receipt line for each: which nodes and relays stored it, and whether somebody has a newer one.

            Examples:
              pkarr-build --key secret <records.json | pkarr-publish
              pkarr-build --key secret --every 1h | pkarr-publish --refresh 5m
              pkarr-publish --no-dht --relay http://127.0.0.1:15411 <packet.json
              pkarr-publish --no-relays --rate 4/s --resume stored <users.ndjson >receipts.ndjson
            """,
        version: toolkitVersion)

    @OptionGroup var sources: SourceOptions

    @Option(help: ArgumentHelp("Put each key's last packet again this often, until terminated.", valueName: "duration"))
    var refresh: DurationArgument?

    @Option(help: ArgumentHelp(
        "Publish so many packets a second or minute at most, or as many as the network takes.", valueName: "N[/s|/m]|unlimited"))
    var rate: RateArgument = "4/s"

    @Option(help: ArgumentHelp("Packets under way on the DHT at the same time, at most 64.", valueName: "N"))
    var jobs = 16

    @Option(help: ArgumentHelp("Try a packet that reached nobody again so many times, waiting longer each time.", valueName: "N"))
    var retries = 3

    @Option(help: ArgumentHelp("Note in a file what is stored, and skip what it says was stored within the last hour.", valueName: "FILE"))
    var resume: String?

    @Option(help: ArgumentHelp(
        "Write receipts that show packets of others to this file too, such as a named pipe to pkarr-build.", valueName: "FILE"))
    var conflicts: String?

    @Flag(help: "Replace also packets of others that are not merged, whose records are then lost.")
    var overwrite = false

    @OptionGroup var common: CommonOptions

    /// More would take longer than until the packet is due again.
    private static let mostRetries = 100

    func validate() throws {
        if let refresh, refresh.duration < .seconds(1) { throw ValidationError("--refresh has to be at least 1s") }
        if !Publisher.jobs.contains(jobs) { throw ValidationError("--jobs has to be 1 to \(Publisher.jobs.upperBound)") }
        if !(0...Self.mostRetries).contains(retries) { throw ValidationError("--retries has to be 0 to \(Self.mostRetries)") }
        if refresh != nil, resume != nil { throw ValidationError("--refresh and --resume exclude each other") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let journal = try resume.map { try open(journal: $0) }
        let loop = EventLoop()
        let sources = try sources.open(on: loop, log: log)
        defer { sources.dht?.close() }
        let publisher = Publisher(sources, on: loop, jobs: jobs)
        let policy = PublicationQueue.Policy(pace: rate.quota, retries: retries, refresh: refresh?.duration)
        let conflicts = try conflicts.map { try ConflictFile($0) }
        let memory = try self.sources.memory.open().map { PublicationMemory($0, on: loop) }
        memory?.onWait = { log.notice("\($0); waiting for it") }
        return try PublishLoop(
            on: loop, publisher, policy, memory: memory, journal: journal, conflicts: conflicts, overwrites: overwrite, log: log
        ).run()
    }

    private func open(journal path: String) throws(CommandError) -> PublicationJournal {
        let shown = "--resume \(printable(path))"
        do throws(PublicationJournal.OpenError) {
            return try PublicationJournal(path, now: WallClock.seconds)
        } catch {
            switch error {
            case .inUse: throw CommandError(.tryAgain, "\(shown): another pkarr-publish is working with it", hint: "wait for its end")
            case .notAJournal:
                throw CommandError(.configuration, "\(shown): the file was not written by pkarr-publish", hint: "name one that does not exist yet")
            case .system(let error) where error.code == EACCES || error.code == EPERM || error.code == EROFS:
                throw CommandError(.permission, "\(shown): \(error.reason)")
            case .system(let error): throw CommandError(.configuration, "\(shown): \(error.reason)")
            }
        }
    }
}
