import ArgumentParser
import Toolkit

@main
struct PkarrBuild: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "pkarr-build", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
