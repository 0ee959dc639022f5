import ArgumentParser
import Discovery
import DiscoveryOptions
import EventLoop
import Glibc
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
            """,
        version: toolkitVersion)

    @OptionGroup var sources: SourceOptions

    @Option(help: ArgumentHelp("Put each key's last packet again this often, until terminated.", valueName: "duration"))
    var refresh: DurationArgument?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let refresh, refresh.duration < .seconds(1) { throw ValidationError("--refresh has to be at least 1s") }
    }

    func execute(log: Log) throws -> ExitStatus {
        let loop = EventLoop()
        let publication = PublishLoop(on: loop, try sources.open(on: loop), refresh: refresh?.duration, log: log)
        return try publication.run()
    }
}
