import ArgumentParser
import Homeserver
import Toolkit

struct Settings: ToolkitCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the configuration of a gateway in front of the homeserver.",
        discussion: """
            NAME=VALUE lines, as homeserver-gateway takes them. Example:

              homeserver-config settings ~/.pubky > gateway.conf
            """,
        version: toolkitVersion)

    @OptionGroup var directory: DataDirectory

    @OptionGroup var common: CommonOptions

    func execute(log: Log) throws -> ExitStatus {
        let configuration = try directory.read(log: log)
        guard !directory.path.utf8.contains(where: { $0 < 0x20 }) else {
            throw CommandError(.usage, "the folder's name holds control characters, which the lines can't")
        }
        do {
            let settings = try configuration.gatewaySettings()
            try StandardOutput.write(line: "key=\"\(directory.path)/secret\"")
            for setting in settings { try StandardOutput.write(line: "\(setting.name)=\(setting.value)") }
        } catch let problem as ConfigurationProblem { throw directory.commandError(problem) }
        return .done
    }
}
