import ArgumentParser
import Toolkit

@main
struct IrohTxt: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "iroh-txt", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
