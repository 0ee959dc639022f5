import Metrics

/// What a relay counts.
struct RelayCounters {
    /// Answered requests by method and status; methods that the relay does not know count as one.
    private var answers: [Answer: UInt64] = [:]
    /// Gets answered from the cache, and those for which the DHT was asked.
    var cacheHits: UInt64 = 0
    var cacheMisses: UInt64 = 0
    var refusedRequests: UInt64 = 0
    var refusedLookups: UInt64 = 0

    private struct Answer: Hashable {
        var method: String
        var status: Int
    }

    mutating func count(_ method: String, _ status: Int) {
        answers[Answer(method: ["GET", "HEAD", "PUT", "OPTIONS"].contains(method) ? method : "other", status: status), default: 0] += 1
    }

    func write(to metrics: inout Metrics) {
        let sorted = answers.sorted { ($0.key.method, $0.key.status) < ($1.key.method, $1.key.status) }
        metrics.add("http_requests_total", .counter, "HTTP requests answered.",
                    sorted.map { ([("method", $0.key.method), ("status", String($0.key.status))], $0.value) })
        metrics.add("http_limited_total", .counter, "HTTP requests refused with 429, by the limit that was reached.",
                    [([("limit", "requests")], refusedRequests), ([("limit", "lookups")], refusedLookups)])
        metrics.add("cache_hits_total", .counter, "Gets answered with what the relay had.", cacheHits)
        metrics.add("cache_misses_total", .counter, "Gets for which the DHT was asked.", cacheMisses)
    }
}
