import ArgumentParser
import Crypto
import Discovery
import DiscoveryOptions
import EventLoop
import Toolkit

@main
struct PkarrResolve: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "pkarr-resolve",
        abstract: "Find the newest signed packet of a key on the Mainline DHT and on pkarr relays.",
        discussion: """
            Writes a packet line for each key as soon as enough of the network stands behind it. A key is a z-base-32 key, pk:KEY, a
            pubky:// URL or a 64-digit hexadecimal endpoint id.

            Examples:
              pkarr-resolve o4dksfbqk85ogzdb5osziw6befigbuxmuxkuxq8434q89uj56uyy | jq .records
              pkarr-resolve pubky://KEY/ | iroh-txt decode
              pkarr-resolve --watch 5m KEY | pkarr-build --key secret | pkarr-publish
              pkarr-resolve --stdin <wanted >packets
              pkarr-resolve --audit KEY
            """,
        version: toolkitVersion)

    @OptionGroup var sources: SourceOptions

    @Option(help: ArgumentHelp("Look again this often, and write a line each time there is something newer.", valueName: "duration"))
    var watch: DurationArgument?

    @Flag(help: "Read keys from standard input, and answer each with a line.")
    var stdin = false

    @Flag(help: "Write what each DHT node and relay has of the key, and a verdict, instead of the packet.")
    var audit = false

    @OptionGroup var common: CommonOptions

    @Argument(help: ArgumentHelp("Whose packet to find.", valueName: "KEY"))
    var keys: [PublicKey] = []

    func validate() throws {
        if keys.isEmpty, !stdin { throw ValidationError("give at least one KEY") }
        if stdin, !keys.isEmpty || watch != nil || audit { throw ValidationError("--stdin goes with no KEY, --watch or --audit") }
        if let watch, watch.duration < .seconds(1) { throw ValidationError("--watch has to be at least 1s") }
    }

    func execute(log: Log) throws -> ExitStatus {
        // An argument that is required would hide what else is wrong with the command line.
        guard stdin || !keys.isEmpty else { throw CommandError(.usage, "give at least one KEY", hint: "pkarr-resolve --help") }
        let loop = EventLoop()
        let state = try sources.memory.open()
        let sources = try sources.open(on: loop, log: log)
        defer { sources.dht?.close() }
        if audit { return try AuditLoop(on: loop, sources, keys: unique(keys), watch: watch?.duration, state: state).run() }
        let judge = Judge(state: state, log: log)
        if stdin { return try AnswerLoop(on: loop, sources, judge).run() }
        return try ResolveLoop(on: loop, sources, judge, keys: unique(keys), watch: watch?.duration).run()
    }

    private func unique(_ keys: [PublicKey]) -> [PublicKey] {
        var seen: Set<PublicKey> = []
        return keys.filter { seen.insert($0).inserted }
    }
}
