import ArgumentParser
import Iroh
import Paths
import Toolkit

/// The tokens of a dialler, each for one relay: which relays it meets is said by those it dials, who may be anybody.
public struct RelayTokenOptions: ParsableArguments {
    @Option(name: .customLong("relay-token"), help: ArgumentHelp(
        "A relay and the file with the token that it asks for, readable by its owner only (repeatable).", valueName: "URL=file"))
    var tokens: [String] = []

    public init() {}

    /// - Throws: ``CommandError``: status 64, and as ``TokenFile/read(_:)``.
    public func read() throws(CommandError) -> RelayTokens {
        var own: [RelayURL: String] = [:]
        for text in tokens {
            let equals = text.firstIndex(of: "=")
            // Not repeated: it may be a token.
            guard let equals, let url = RelayURL(text[..<equals]) else {
                throw CommandError(.usage, "--relay-token takes a relay's URL and a file", hint: "such as https://relay.example/=token")
            }
            own[url] = try TokenFile.read(String(text[text.index(after: equals)...]))
        }
        return RelayTokens(own)
    }
}
