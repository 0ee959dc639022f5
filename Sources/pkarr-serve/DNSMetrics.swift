import DNSServer
import Metrics
import PkarrRelay

extension Metrics {
    mutating func add(of door: DNSServer) {
        let counters = door.counters
        let transports = counters.received.sorted { $0.key.rawValue < $1.key.rawValue }
        add("dns_queries_total", .counter, "DNS messages received.", transports.map { ([("transport", $0.key.rawValue)], $0.value) })
        let codes = counters.answered.sorted { $0.key.rawValue < $1.key.rawValue }
        add("dns_answers_total", .counter, "DNS answers by their code.", codes.map { ([("code", $0.key.name)], $0.value) })
        add("dns_ignored_total", .counter, "DNS messages that deserve no answer.", counters.ignored)
        add("dns_limited_total", .counter, "DNS questions above a limit.", counters.limited)
        add("dns_lookups_total", .counter, "Look-ups in the DHT for DNS questions.", counters.lookUps)
        add("dns_stale_total", .counter, "DNS answers from a packet that may be out of date.", counters.stale)
        add("dns_forwarded_total", .counter, "DNS questions forwarded.", counters.forwarded)
        add("dns_unanswered_total", .counter, "Forwarded DNS questions that nobody answered.", counters.unanswered)
        add("dns_connections", .gauge, "DNS connections that are open.", door.connections)
    }
}
