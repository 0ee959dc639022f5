/// Figures in Prometheus' text format, version 0.0.4.
public struct Metrics {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    public enum Kind: String { case counter, gauge }

    public private(set) var text = ""

    public init() {}

    /// Adds a figure that has one value.
    ///
    /// - Parameters:
    ///   - name: Without the prefix `pkarr_serve_`; a counter's ends in `_total`.
    ///   - help: One sentence.
    public mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger) {
        add(name, kind, help, [([], value)])
    }

    /// Adds a figure with a value for each of several labels.
    ///
    /// - Parameter samples: Label names and values, which have to be of a bounded number.
    public mutating func add<Value: BinaryInteger>(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Value)]
    ) {
        text += "# HELP pkarr_serve_\(name) \(help)\n# TYPE pkarr_serve_\(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.0)=\"\(Metrics.escaped($0.1))\"" }.joined(separator: ",")
            text += "pkarr_serve_\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)\n"
        }
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}

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
