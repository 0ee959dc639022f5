import ArgumentParser
import Toolkit

@main
struct QUICListen: ToolkitCommand {
    static let configuration = CommandConfiguration(commandName: "quic-listen", version: toolkitVersion)
    @OptionGroup var common: CommonOptions
    func execute(log: Log) throws -> ExitStatus { .done }
}
