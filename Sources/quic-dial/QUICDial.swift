import ArgumentParser
import Toolkit

@main
struct QUICDial: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "quic-dial", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
