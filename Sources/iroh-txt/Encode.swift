import ArgumentParser
import Iroh
import JSON
import Toolkit

struct Encode: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "encode",
        abstract: "Read endpoint objects, print the records that publish them.",
        discussion: """
            What is printed is always a set of records that real iroh reads. Example:

              echo '{"endpoint_id":"KEY","relay_urls":["https://relay.example/"]}' | iroh-txt encode
            """,
        version: toolkitVersion)

    @Option(help: ArgumentHelp("How long a reader may keep the records.", valueName: "duration"))
    var ttl: DurationArgument = "30s"

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard UInt32(exactly: ttl.duration.components.seconds) != nil, ttl.duration.components.attoseconds == 0 else {
            throw ValidationError("--ttl has to be whole seconds, at most \(UInt32.max)")
        }
    }

    func execute(log: Log) throws -> ExitStatus {
        try Stage(log: log).run { input in
            let address = try EndpointAddress(json: input.object)
            let records = try address.records(timeToLive: UInt32(ttl.duration.components.seconds))
            try StandardOutput.write(.object(records.json))
        }
    }
}
