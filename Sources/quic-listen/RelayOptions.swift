import ArgumentParser
import Glibc
import Iroh
import Paths
import Platform
import RelayArguments
import Toolkit

/// The relays that the listener may be reached through.
struct RelayOptions: ParsableArguments {
    /// Each is asked every few minutes and at once whenever one is lost.
    private static let mostRelays = 64
    /// That many URLs with comments.
    private static let largestList = 64 << 10

    @Option(name: .customLong("relay"), help: ArgumentHelp(
        "An iroh relay to be reachable through (repeatable; default: IROH_RELAYS, else none).", valueName: "URL"))
    var relays: [RelayURL] = []

    @Option(help: ArgumentHelp("File with more relays, one URL a line; read again on SIGHUP.", valueName: "file"))
    var relayList: String?

    @Option(help: ArgumentHelp("File with the token that the relays ask for, readable by its owner only.", valueName: "file"))
    var relayToken: String?

    @Flag(help: "Use no relays.")
    var noRelays = false

    @Option(name: .customLong("stun"), help: ArgumentHelp(
        "A STUN server that tells which address others see (repeatable; default: the relays).", valueName: "host:port"))
    var stunServers: [HostAndPort] = []

    func validate() throws {
        if noRelays, !relays.isEmpty || relayList != nil { throw ValidationError("--no-relays excludes --relay and --relay-list") }
    }

    /// - Throws: ``CommandError``, as ``TokenFile/read(_:)``.
    func readToken() throws(CommandError) -> RelayTokens {
        guard let relayToken else { return RelayTokens() }
        return RelayTokens(forAll: try TokenFile.read(relayToken))
    }

    /// The relays to use, as options, list and environment have them now.
    ///
    /// - Throws: ``CommandError``: status 77 or 78.
    func list() throws(CommandError) -> [RelayURL] {
        if noRelays { return [] }
        let all: [RelayURL]
        if let relayList {
            all = relays + (try read(relayList))
        } else {
            all = try chosen(relays, "IROH_RELAYS", "an http or https URL", default: []) { RelayURL($0) }
        }
        guard all.count <= Self.mostRelays else {
            throw CommandError(.configuration, "\(all.count) relays, at most \(Self.mostRelays) are taken")
        }
        return all
    }

    private func read(_ path: String) throws(CommandError) -> [RelayURL] {
        let shown = printable(path)
        let content: [UInt8]
        do throws(SystemError) { content = try readFile(path, limit: Self.largestList) } catch {
            let isDenied = error.code == EACCES || error.code == EPERM
            throw CommandError(isDenied ? .permission : .configuration, "relay list \(shown): \(error.reason)")
        }
        var urls: [RelayURL] = []
        for (index, line) in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != UInt8(ascii: "#") }.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
            guard let word = words.first.map({ String(decoding: $0, as: UTF8.self) }) else { continue }
            guard words.count == 1, let url = RelayURL(word) else {
                throw CommandError(.configuration, "relay list \(shown), line \(index + 1): not one http or https URL: \(printable(word))")
            }
            urls.append(url)
        }
        return urls
    }
}
