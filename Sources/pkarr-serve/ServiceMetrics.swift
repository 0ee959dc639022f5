import Discovery
import Glibc
import HTTPServer
import Metrics
import PkarrRelay
import Platform

/// What the parts of the service have to tell beside the relay itself.
extension Metrics {
    mutating func add(of server: HTTPServer) {
        add("http_connections", .gauge, "Open HTTP connections.", server.connections)
        add("http_connections_total", .counter, "HTTP connections opened.", server.accepted)
    }

    mutating func add(of node: DHTNode) {
        add("dht_nodes", .gauge, "Nodes in the DHT node's routing table.", node.knownNodes)
        add("dht_items", .gauge, "Items that the DHT node has in memory for others.", node.storedItems)
        add("dht_item_bytes", .gauge, "Memory that these items take, about.", node.storedBytes)
        add("dht_queries_sent_total", .counter, "DHT queries sent.", node.sentQueries)
        add("dht_queries_refused_total", .counter, "DHT queries not answered because their address asked too often.", node.refusedQueries)
    }

    mutating func add(of store: StoreOptions.Files) {
        add("store_bytes", .gauge, "Bytes in use in a file of the store.", store.all.map { ([("file", $0.name)], $0.file.bytes) })
        add("store_failures_total", .counter, "Reads and writes of the store that failed.",
            store.all.map { ([("file", $0.name)], $0.file.failures) })
    }

    mutating func addProcess() {
        // The second number of statm counts resident pages (proc(5)).
        guard let bytes = try? readFile("/proc/self/statm", limit: 4096) else { return }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return }
        add("resident_bytes", .gauge, "Memory of the process.", pages * sysconf(Int32(_SC_PAGESIZE)))
    }
}
