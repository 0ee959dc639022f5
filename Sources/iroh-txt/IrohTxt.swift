import ArgumentParser
import Toolkit

@main
struct IrohTxt: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "iroh-txt",
        abstract: "Translate between iroh endpoints and the _iroh records in which they are published.",
        discussion: """
            Announce where a server is reached, and read where one is:

              quic-listen --key FILE --bridge SOCKET | iroh-txt encode
              pkarr-resolve KEY | iroh-txt decode
            """,
        version: toolkitVersion,
        subcommands: [Encode.self, Decode.self])

    func run() throws { throw ValidationError("say what to do: encode or decode") }
}
