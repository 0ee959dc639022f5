import ArgumentParser
import Toolkit

@main
struct PkarrResolve: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "pkarr-resolve", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
