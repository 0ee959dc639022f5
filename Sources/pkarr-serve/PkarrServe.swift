import ArgumentParser
import Toolkit

@main
struct PkarrServe: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "pkarr-serve", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
