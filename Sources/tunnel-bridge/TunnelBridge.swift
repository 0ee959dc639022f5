import ArgumentParser
import Toolkit

@main
struct TunnelBridge: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "tunnel-bridge", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
