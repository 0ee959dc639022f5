import Platform

/// How long answers take (RFC 6298), over all nodes together.
struct RoundTrips {
    /// What a query may take at most: the mainline library's time-out.
    static let longestPatience = Duration.seconds(2)
    /// A busy node on a fast network still deserves this long. When all are busy, the first late answer says so, and all are waited for.
    private static let shortestPatience = Duration.milliseconds(100)
    /// With fewer answers than this nothing is known.
    private static let samplesNeeded = 4
    /// As long as nothing is known. Most of the public network's nodes answer in this time (a quarter of a second is usual); whoever is
    /// slower costs a query too many, whoever is dead no more than this.
    private static let firstPatience = Duration.milliseconds(600)

    private var samples = 0
    private var smoothed = Duration.zero
    private var variation = Duration.zero

    mutating func note(_ sample: Duration) {
        if samples == 0 {
            smoothed = sample
            variation = sample / 2
        } else {
            let difference = smoothed > sample ? smoothed - sample : sample - smoothed
            variation = (variation * 3 + difference) / 4
            smoothed = (smoothed * 7 + sample) / 8
        }
        samples += 1
    }

    /// How many nodes a look-up asks at once: all that matter where answers take their time. On a local network it is the processor
    /// that takes time, and what is asked beyond the closest only delays their answers.
    var concurrency: Int { samples > 0 && smoothed < RoundTrips.localNetwork ? RoundTrips.localConcurrency : Lookup.width }

    private static let localNetwork = Duration.milliseconds(5)
    /// BEP 5's K, which is also where libtorrent ends a look-up.
    private static let localConcurrency = 8

    /// When a look-up stops waiting for a node and goes on with the next one. A late answer is still welcome.
    var patience: Duration {
        guard samples >= RoundTrips.samplesNeeded else { return RoundTrips.firstPatience }
        return min(max(smoothed + variation * 4, RoundTrips.shortestPatience), RoundTrips.longestPatience)
    }
}
