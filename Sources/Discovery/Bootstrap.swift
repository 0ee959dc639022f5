import Platform

extension DHTNode {
    /// A `host:port` that the network can be entered through.
    public struct Bootstrap: Equatable, Sendable {
        public var host: String
        public var port: UInt16

        /// Reads `host:port` or `[address]:port`.
        public init?(_ text: some StringProtocol) {
            if let address = SocketAddress(text) {
                guard address.port > 0 else { return nil }
                self.init(host: address.ip.description, port: address.port)
                return
            }
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
            let host = text[..<colon]
            guard !host.isEmpty, !host.contains(":"), !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else { return nil }
            self.init(host: String(host), port: port)
        }

        public init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }

        /// Where the public network is entered (spec/pkarr-wire.md, 2.5).
        public static let publicNetwork = [
            Bootstrap(host: "router.bittorrent.com", port: 6881), Bootstrap(host: "dht.transmissionbt.com", port: 6881),
            Bootstrap(host: "dht.libtorrent.org", port: 25401), Bootstrap(host: "relay.pkarr.org", port: 6881),
        ]
    }
}
