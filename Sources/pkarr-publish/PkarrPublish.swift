import ArgumentParser
import Toolkit

@main
struct PkarrPublish: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "pkarr-publish", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
