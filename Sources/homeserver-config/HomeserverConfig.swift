import ArgumentParser
import Glibc
import Homeserver
import Platform
import Toolkit

@main
struct HomeserverConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "homeserver-config",
        abstract: "Read a Pubky homeserver's config.toml: what it publishes, and what a gateway needs to know.",
        discussion: """
            The secret in the same folder is not read. Examples:

              homeserver-config records ~/.pubky | pkarr-build --key ~/.pubky/secret
              homeserver-config settings ~/.pubky > gateway.conf
            """,
        version: toolkitVersion,
        subcommands: [Records.self, Settings.self])

    func run() throws { throw ValidationError("say what to print: records or settings") }
}

/// The folder on the command line.
struct DataDirectory: ParsableArguments {
    /// Bytes. The homeserver's own sample has 7000.
    private static let largest = 1 << 16

    @Argument(help: ArgumentHelp("The homeserver's data folder, with config.toml in it.", valueName: "dir"))
    var path: String

    /// Reads the configuration; says what is strange about it, and all that is wrong.
    ///
    /// - Throws: ``CommandError``, status 77 or 78.
    func read(log: Log) throws(CommandError) -> HomeserverConfiguration {
        let document: [UInt8]
        do throws(SystemError) { document = try readFile(file, limit: Self.largest) } catch {
            let isDenied = error.code == EACCES || error.code == EPERM
            let hint = error.code == ENOENT ? "a homeserver writes it when it first starts" : nil
            throw CommandError(isDenied ? .permission : .configuration, "\(file): \(error.reason)", hint: hint)
        }
        let configuration: HomeserverConfiguration
        do throws(ConfigurationError) { configuration = try HomeserverConfiguration(parsing: document) } catch {
            for problem in error.problems.dropLast() { log.error(commandError(problem).message) }
            throw commandError(error.problems[error.problems.count - 1])
        }
        for warning in configuration.warnings { log.warning("\(file), \(warning)") }
        return configuration
    }

    func commandError(_ problem: ConfigurationProblem) -> CommandError {
        CommandError(.configuration, "\(file)\(problem.place == nil ? ":" : ",") \(problem)")
    }

    private var file: String { path.last == "/" ? "\(path)config.toml" : "\(path)/config.toml" }
}
