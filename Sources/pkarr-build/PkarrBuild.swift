import ArgumentParser
import Crypto
import Iroh
import JSON
import Pkarr
import StateOptions
import Toolkit

@main
struct PkarrBuild: ToolkitCommand {
    static let configuration = CommandConfiguration(
        commandName: "pkarr-build",
        abstract: "Merge records into a key's packet and sign it.",
        discussion: """
            The one place that signs: it keeps what others published under the key and adds its own records. Examples:

              pkarr-build --generate-key server.key
              pkarr-build --key server.key --records site.json < /dev/null
              pkarr-resolve KEY | pkarr-build --key server.key --records site.json
              pkarr-resolve KEY | pkarr-build --key server.key --records site.json --dry-run
            """,
        version: toolkitVersion)

    @Option(help: ArgumentHelp("The secret key that signs: 64 hexadecimal digits or 32 bytes, readable by nobody else.", valueName: "file"))
    var key: String?

    @Option(help: ArgumentHelp("Records to publish until lines bring others of the same name and type. May be repeated.", valueName: "file"))
    var records: [String] = []

    @Option(help: ArgumentHelp(
        "Records to publish as long as nobody else has published any of the same name. May be repeated.", valueName: "file"))
    var fallback: [String] = []

    @Flag(help: "Sign nothing: show what would be published, and how it differs from the newest packet on standard input.")
    var dryRun = false

    @Option(help: ArgumentHelp("Sign again after this time, and keep running as long as there is input.", valueName: "duration"))
    var every: DurationArgument?

    @Option(help: ArgumentHelp(
        "With --every: let a packet of others settle so long after it was signed, before it is merged.", valueName: "duration"))
    var settle = DurationArgument(argument: "20s")!

    @Option(help: ArgumentHelp(
        "Take this as the present time, in microseconds since 1970, so that the output can be reproduced.", valueName: "microseconds"))
    var at: UInt64?

    @Option(help: ArgumentHelp("Write a new secret key to a file, print its public key, and do nothing else.", valueName: "file"))
    var generateKey: String?

    @OptionGroup var memory: StateOptions

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if generateKey != nil, key != nil || !records.isEmpty || !fallback.isEmpty || dryRun || every != nil || at != nil || memory.state != nil {
            throw ValidationError("--generate-key goes with no other option")
        }
        if dryRun, every != nil { throw ValidationError("--dry-run and --every exclude each other") }
        if let at, at > UInt64(Int64.max) { throw ValidationError("--at has to be below 2^63") }
        if let every, every.duration <= .zero { throw ValidationError("--every has to be longer than nothing") }
    }

    func execute(log: Log) throws -> ExitStatus {
        if let generateKey {
            let publicKey = try KeyFile.generate(generateKey).publicKey
            try StandardOutput.write(["public_key": .string(publicKey.zBase32)])
            return .done
        }
        // Not in validate(), which would hide an option that is written wrongly.
        guard let key else { throw CommandError(.usage, "give either --key or --generate-key", hint: "pkarr-build --help") }
        let secretKey = try KeyFile.read(key)
        let publicKey = secretKey.publicKey
        let composition = Composition(
            ownSets: Set(EndpointAddress.recordNames(in: publicKey).map { RRset(name: $0, type: .txt) }),
            defaults: try records.flatMap { try RecordsFile.read($0, for: publicKey) },
            fallbacks: try fallback.flatMap { try RecordsFile.read($0, for: publicKey) })
        if dryRun { return try DryRun(key: publicKey, composition: composition, state: memory.open(), log: log).run() }
        return try Building(key: secretKey, composition: composition, every: every?.duration, settling: settle.duration, at: at, state: memory.open(), log: log).run()
    }
}
