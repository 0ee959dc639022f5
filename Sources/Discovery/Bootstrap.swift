import Platform

extension DHTNode {
    /// Where the public network is entered (spec/pkarr-wire.md, 2.5).
    public static let publicNetwork = [
        HostAndPort(host: "router.bittorrent.com", port: 6881), HostAndPort(host: "dht.transmissionbt.com", port: 6881),
        HostAndPort(host: "dht.libtorrent.org", port: 25401), HostAndPort(host: "relay.pkarr.org", port: 6881),
    ]
}
