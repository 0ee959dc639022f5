import ArgumentParser
import Iroh
import Toolkit

extension RelayURL: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Iroh relays beside those that a packet names. `--relay` means a pkarr relay, as with pkarr-resolve.
struct IrohRelayOptions: ParsableArguments {
    @Option(name: .customLong("iroh-relay"), help: ArgumentHelp(
        "An iroh relay to try besides those of the packet (repeatable; default: IROH_RELAYS, else none).", valueName: "URL"))
    var relays: [RelayURL] = []

    @Option(help: ArgumentHelp("File with the token that iroh relays ask for, readable by its owner only.", valueName: "file"))
    var relayToken: String?

    func list() throws(CommandError) -> [RelayURL] { try chosen(relays, "IROH_RELAYS", "an http or https URL", default: []) { RelayURL($0) } }

    func token() throws(CommandError) -> String? {
        guard let relayToken else { return nil }
        return try TokenFile.read(relayToken)
    }
}
