/// Where packets are published and looked for.
public struct Sources {
    public var dht: DHTNode?
    public var relays: [RelayClient]

    public init(dht: DHTNode?, relays: [RelayClient]) {
        self.dht = dht
        self.relays = relays
    }
}
