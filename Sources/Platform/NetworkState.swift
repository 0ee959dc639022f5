/// What of the network around this machine decides where it is reached: its addresses and the ways to the Internet.
public struct NetworkState: Hashable, Sendable {
    /// A route to everywhere.
    public struct DefaultRoute: Hashable, Sendable {
        public var interface: String
        /// The next router; nil where the link itself leads there.
        public var gateway: IPAddress?
        public var metric: UInt32

        public init(_ interface: String, via gateway: IPAddress?, metric: UInt32 = 0) {
            self.interface = interface
            self.gateway = gateway
            self.metric = metric
        }
    }

    /// Without those that never concern anybody else, which may come and go.
    public var addresses: [InterfaceAddress]
    /// Of both families, each with the one that is taken first.
    public var defaultRoutes: [DefaultRoute]

    public init(addresses: [InterfaceAddress] = [], defaultRoutes: [DefaultRoute] = []) {
        self.addresses = addresses
        self.defaultRoutes = defaultRoutes
    }

    /// As it is now.
    public static var current: NetworkState {
        let four = fourRoutes(of: lines(of: "/proc/net/route")), six = sixRoutes(of: lines(of: "/proc/net/ipv6_route"))
        let whole = NetworkState(addresses: InterfaceAddress.all(), defaultRoutes: four + six)
        return NetworkState(addresses: whole.addresses.filter(whole.concernsOthers), defaultRoutes: whole.defaultRoutes)
    }

    /// The IPv4 router that everything goes to.
    public var gateway: IPAddress? { defaultRoutes.lazy.compactMap(\.gateway).first { !$0.isV6 } }

    /// Whether others may be able to send to an address.
    ///
    /// Not to those of one host or link, nor to those of bridges to containers and virtual machines: each host that runs Docker has
    /// 172.17.0.1, so that telling it to others makes them try an address of their own.
    func concernsOthers(_ address: InterfaceAddress) -> Bool {
        (address.ip.scope == .global || address.ip.scope == .network) && !isContainerBridge(address.interface)
    }

    /// The addresses of one family for others to send to, global ones first. Left out are those that are not to be used any more or yet,
    /// and temporary ones beside a stable one: the stable one is as good to be found at, and stays.
    public func usefulAddresses(v6: Bool) -> [IPAddress] {
        let usable = addresses.filter { $0.ip.isV6 == v6 && $0.standing != .unusable && concernsOthers($0) }
        let chosen = usable.filter { address in
            address.standing == .stable
                || !usable.contains { $0.standing == .stable && $0.interface == address.interface && $0.ip.scope == address.ip.scope }
        }
        var found: [IPAddress] = []
        for scope in [IPAddress.Scope.global, .network] {
            for address in chosen where address.ip.scope == scope && !found.contains(address.ip) { found.append(address.ip) }
        }
        return found
    }

    /// What the programs for containers and virtual machines call their interfaces, unless it is the way to the Internet: a container
    /// may be given one of its own by such a name. VPNs are no such things; their addresses are of use to others in them.
    func isContainerBridge(_ interface: String) -> Bool {
        let isNamedSo = Self.bridgeNames.contains { interface.hasPrefix($0) } || interface.isDockerNetwork
        return isNamedSo && !defaultRoutes.contains { $0.interface == interface }
    }

    private static let bridgeNames = [
        "docker", "podman", "cni", "flannel", "cali", "cilium", "veth", "virbr", "vmnet", "vboxnet", "lxc", "lxdbr", "incusbr",
    ]

    // The kernel's tables

    /// `/proc/net/route`: interface, destination, gateway, flags, two counts, metric, mask; addresses as numbers of the machine.
    static func fourRoutes(of lines: [[Substring]]) -> [DefaultRoute] {
        let routes = lines.filter { $0.count >= 8 && $0[1] == "00000000" && $0[7] == "00000000" }.compactMap { words -> DefaultRoute? in
            guard let raw = UInt32(words[2], radix: 16), let flags = Int(words[3], radix: 16), flags & isUp != 0, flags & rejects == 0,
                let metric = UInt32(words[6])
            else { return nil }
            return DefaultRoute(String(words[0]), via: raw == 0 ? nil : .v4(UInt32(bigEndian: raw)), metric: metric)
        }
        return routes.sorted { $0.metric < $1.metric }
    }

    /// `/proc/net/ipv6_route`: destination and length of its prefix, source likewise, next router, metric, two counts, flags, interface.
    static func sixRoutes(of lines: [[Substring]]) -> [DefaultRoute] {
        let everywhere = String(repeating: "0", count: 32)
        let routes = lines.filter { $0.count == 10 && $0[0] == everywhere && $0[1] == "00" && $0[3] == "00" }.compactMap { words -> DefaultRoute? in
            guard let gateway = IPAddress(hexDigits: words[4]), let metric = UInt32(words[5], radix: 16), let flags = Int(words[8], radix: 16),
                flags & isUp != 0, flags & rejects == 0
            else { return nil }
            return DefaultRoute(String(words[9]), via: gateway.isUnspecified ? nil : gateway, metric: metric)
        }
        return routes.sorted { $0.metric < $1.metric }
    }

    // <linux/route.h>
    private static let isUp = 0x0001, rejects = 0x0200
}

extension String {
    /// `br-` and the first digits of a network's number. OpenWrt's `br-lan`, for one, is none.
    fileprivate var isDockerNetwork: Bool {
        hasPrefix("br-") && utf8.count == 15 && dropFirst(3).utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
