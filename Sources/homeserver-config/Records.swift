import ArgumentParser
import Homeserver
import Toolkit

struct Records: ToolkitCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the records that the homeserver publishes.",
        discussion: """
            Byte for byte those of the homeserver's own packet, whether it runs or not. Example:

              homeserver-config records ~/.pubky | pkarr-build --key ~/.pubky/secret
            """,
        version: toolkitVersion)

    @OptionGroup var directory: DataDirectory

    @OptionGroup var common: CommonOptions

    func execute(log: Log) throws -> ExitStatus {
        let configuration = try directory.read(log: log)
        do { try StandardOutput.write(.object(try configuration.records())) } catch let problem as ConfigurationProblem {
            throw directory.commandError(problem)
        }
        return .done
    }
}
