import ArgumentParser
import Glibc

/// The version of the whole toolkit.
public let toolkitVersion = "0.1.0"

/// What every command takes.
public struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How messages on standard error look.", valueName: "text|json"))
    public var logFormat: LogFormat = .text

    @Flag(name: .shortAndLong, help: "Say more on standard error.")
    public var verbose = false

    public init() {}
}

/// A command of the toolkit. `main()` turns errors into one line on standard error and an exit status, in this one place.
public protocol ToolkitCommand: ParsableCommand {
    var common: CommonOptions { get }

    /// Does the work.
    ///
    /// - Returns: How the command ended, for those that go on after an error and report it at the end.
    /// - Throws: `ExitCode` to end with the exit code of a program that it ran.
    func execute(log: Log) throws -> ExitStatus
}

extension ToolkitCommand {
    public mutating func run() throws { throw Self.finish(self) }

    private static func finish(_ command: Self) -> ExitCode {
        // A write to a pipe whose reader has gone has to fail, not to kill: the command ends in order.
        signal(SIGPIPE, SIG_IGN)
        reserveStandardDescriptors()
        let log = Log(command: rootName, format: command.common.logFormat, level: command.common.verbose ? .debug : .notice)
        do {
            return ExitCode(try command.execute(log: log).rawValue)
        } catch let error as CommandError {
            log.error(error.message, hint: error.hint)
            return ExitCode(error.status.rawValue)
        } catch is OutputClosed {
            return .success
        } catch let code as ExitCode {
            return code
        } catch {
            log.error("unexpected error: \(error)", hint: "this is a bug; please report it")
            return ExitCode(ExitStatus.bug.rawValue)
        }
    }

    /// Whoever starts a command with a standard descriptor closed would have the next file opened take its number. The null device
    /// opened for reading keeps the place: it reads as empty, and writing to it fails.
    private static func reserveStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 { _ = open("/dev/null", O_RDONLY) }
    }

    private static var rootName: String {
        String(CommandLine.arguments[0].split(separator: "/").last ?? "keyhole")
    }
}
