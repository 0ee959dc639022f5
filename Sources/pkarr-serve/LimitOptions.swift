import ArgumentParser
import Mainline
import PkarrRelay
import Platform
import RateLimits
import Toolkit

/// How much each address may ask.
struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("HTTP requests of one address.", valueName: "QUOTA"))
    var limitRequests = QuotaArgument(Visitors.Quotas.defaultRequests)

    @Option(help: ArgumentHelp("HTTP requests, and as many DNS questions, of one address for which the DHT is asked.", valueName: "QUOTA"))
    var limitLookups = QuotaArgument(Visitors.Quotas.defaultLookups)

    @Option(help: ArgumentHelp("Queries of one address that the DHT node answers.", valueName: "QUOTA"))
    var limitQueries = QuotaArgument(MainlineNode.queryQuota)

    @Option(name: .customLong("exempt"), help: ArgumentHelp(
        "Addresses without limits, which see the metrics (repeatable; or none; default: this machine, on the DHT also local networks).",
        valueName: "ADDR[/LENGTH]"))
    var exemptions: [ExemptionArgument] = []

    @Option(name: .customLong("behind-proxy"), help: ArgumentHelp(
        "A proxy to take the client's address from, in X-Forwarded-For (repeatable).", valueName: "ADDR[/LENGTH]"))
    var proxies: [AddressRange] = []

    var visitors: Visitors {
        let quotas = Visitors.Quotas(requests: limitRequests.quota, lookups: limitLookups.quota)
        return Visitors(quotas: quotas, exempt: exempt ?? AddressRange.loopback, proxies: proxies)
    }

    var queryLimiter: AddressLimiter { AddressLimiter(limitQueries.quota, exempt: exempt ?? AddressRange.localNetworks) }

    var exempt: [AddressRange]? { exemptions.isEmpty ? nil : exemptions.compactMap(\.range) }
}

/// A quota on the command line: `2r/s`, `30r/m,burst=5`, or `off`.
struct QuotaArgument: ExpressibleByArgument, CustomStringConvertible {
    /// Nil for no limit.
    var quota: Quota?

    init(_ quota: Quota) { self.quota = quota }

    init?(argument: String) {
        if argument == "off" { return }
        guard let quota = Quota(argument) else { return nil }
        self.quota = quota
    }

    var description: String { quota.map { "\($0)" } ?? "off" }
    var defaultValueDescription: String { description }
}
