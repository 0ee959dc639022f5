/// How far a relay goes for a packet; the query parameter `policy` (spec/pkarr-wire.md, 2.2).
enum ResolvePolicy: String {
    /// What is here while it is fresh, else the first answer of the DHT.
    case cacheFirst = "CacheFirst"
    /// What is here, fresh or not.
    case cacheOnly = "CacheOnly"
    /// The newest in the DHT, when everybody has answered.
    case networkOnly = "NetworkOnly"
}
