import Testing

@testable import Platform

private func words(_ text: String) -> [[Substring]] { text.split(separator: "\n").map { $0.split { $0 == " " || $0 == "\t" } } }

private func useful(_ addresses: [InterfaceAddress], routes: [NetworkState.DefaultRoute] = [], v6: Bool = false) -> [String] {
    NetworkState(addresses: addresses, defaultRoutes: routes).usefulAddresses(v6: v6).map(\.description)
}

@Test("an address is of use as far as its block says", arguments: [
    ("127.0.0.1", .host), ("0.0.0.0", .host), ("224.0.0.1", .host), ("255.255.255.255", .host), ("192.0.0.4", .host), ("::1", .host),
    ("ff02::1", .host), ("169.254.7.7", .link), ("fe80::1", .link), ("10.1.2.3", .network), ("172.31.0.1", .network),
    ("172.32.0.1", .global), ("100.64.0.1", .network), ("100.128.0.1", .global), ("192.0.2.1", .global), ("198.18.0.1", .network),
    ("fec0::1", .network), ("fd00::1", .network), ("2001:db8::1", .global),
] as [(String, IPAddress.Scope)])
func scope(_ text: String, _ scope: IPAddress.Scope) { #expect(IPAddress(text)!.scope == scope) }

@Test("global addresses come before a network's own, and those of one host or link are left out")
func scopeOrder() {
    let addresses = ["127.0.0.1", "192.168.1.2", "169.254.1.2", "203.0.113.9", "100.64.0.7"].map { InterfaceAddress("eth0", IPAddress($0)!) }
    #expect(useful(addresses) == ["203.0.113.9", "192.168.1.2", "100.64.0.7"])
}

@Test("bridges to containers are left out, the way to the Internet and VPNs never", arguments: [
    ("docker0", false), ("br-0123456789ab", false), ("br-lan", true), ("br0", true), ("virbr0", false), ("vethc0ffee", false), ("cni0", false),
    ("flannel.1", false), ("podman1", false), ("lxcbr0", false), ("wg0", true), ("tailscale0", true), ("tun0", true), ("eth0", true),
])
func bridges(_ name: String, _ isUseful: Bool) {
    let address = [InterfaceAddress(name, IPAddress("172.17.0.1")!)]
    #expect(useful(address) == (isUseful ? ["172.17.0.1"] : []))
    #expect(useful(address, routes: [.init(name, via: IPAddress("172.17.0.254")!)]) == ["172.17.0.1"])
}

@Test("a temporary address counts only where there is no stable one, and one that goes or is not sure does not")
func standings() {
    let lines = words("""
        20010db8000000000000000000000001 02 40 00 80     eth0
        20010db8000000000000000000000002 02 40 00 01     eth0
        20010db8000000000000000000000003 02 40 00 20     eth0
        20010db8000000000000000000000004 02 40 00 40     eth0
        20010db8000000000000000000000005 02 40 00 44     eth0
        20010db8000000000000000000000006 03 40 00 01    wlan0
        20010db8000000000000000000000007 03 40 00 48    wlan0
        nonsense
        """)
    let found = InterfaceAddress.standings(of: lines)
    #expect(found.count == 7)
    let addresses = (1...7).map { number in
        let ip = IPAddress("2001:db8::\(number)")!
        return InterfaceAddress(number < 6 ? "eth0" : "wlan0", ip, found[ip]!)
    }
    #expect(useful(addresses, v6: true) == ["2001:db8::1", "2001:db8::5", "2001:db8::6"])
}

@Test("the kernel's tables tell the default routes, the one taken first first")
func routes() {
    let four = NetworkState.fourRoutes(of: words("""
        Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
        wlan0	00000000	0101A8C0	0003	0	0	600	00000000	0	0	0
        eth0	00000000	FE01A8C0	0003	0	0	100	00000000	0	0	0
        eth0	0001A8C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
        *	00000000	00000000	0200	0	0	0	00000000	0	0	0
        ppp0	00000000	00000000	0001	0	0	700	00000000	0	0	0
        """))
    #expect(four == [.init("eth0", via: IPAddress("192.168.1.254"), metric: 100), .init("wlan0", via: IPAddress("192.168.1.1"), metric: 600),
                     .init("ppp0", via: nil, metric: 700)])
    let zero = String(repeating: "0", count: 32)
    let six = NetworkState.sixRoutes(of: words("""
        \(zero) 00 \(zero) 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth0
        \(zero) 00 \(zero) 00 \(zero) ffffffff 00000001 00000000 00200200       lo
        fe800000000000000000000000000000 40 \(zero) 00 \(zero) 00000100 00000001 00000000 00000001     eth0
        """))
    #expect(six == [.init("eth0", via: IPAddress("fe80::1"), metric: 1024)])
    #expect(NetworkState(defaultRoutes: four + six).gateway == IPAddress("192.168.1.254"))
}
