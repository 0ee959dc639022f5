import ArgumentParser
import Iroh
import RelayArguments
import Toolkit

/// Iroh relays beside those that a packet names. `--relay` means a pkarr relay, as with pkarr-resolve.
struct IrohRelayOptions: ParsableArguments {
    @Option(name: .customLong("iroh-relay"), help: ArgumentHelp(
        "An iroh relay to try besides those of the packet (repeatable; default: IROH_RELAYS, else none).", valueName: "URL"))
    var relays: [RelayURL] = []

    @OptionGroup var tokens: RelayTokenOptions

    func list() throws(CommandError) -> [RelayURL] { try chosen(relays, "IROH_RELAYS", "an http or https URL", default: []) { RelayURL($0) } }
}
