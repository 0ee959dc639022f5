import Crypto
import Iroh
import Pkarr
import Platform
import Testing

@testable import Ladder

@Suite struct WalkTests {
    private func walk(_ host: KeyedHost, allowsLocal: Bool = false, _ packets: SignedPacket...) -> Walk {
        Walk(from: host, caution: Caution(allowsLocal: allowsLocal)) { key in
            packets.first { $0.publicKey == key }.map(Walk.Knowledge.packet) ?? .unknown
        }
    }

    private func addresses(_ walk: Walk) -> [String] { walk.places.addresses.map { "\($0.address)" } }

    @Test func aHomeserversOwnRecordsGiveAnAddressAndADomain() throws {
        let walk = walk(KeyedHost(key(1)), try packet(1, [
            https(params: #"{"port":6287,"ipv4hint":["203.0.114.7"]}"#), https(priority: 10, target: "Homeserver.example"), address("203.0.114.7"),
        ].joined(separator: ",")))
        #expect(walk.places.addresses == [KeyedAddress(address: SocketAddress("203.0.114.7:6287")!, key: key(1))])
        #expect(walk.places.domains == [Domain(name: "homeserver.example", port: 443, key: key(1))])
        #expect(walk.needed.isEmpty && walk.places.refused.isEmpty && walk.keys == [key(1)])
    }

    @Test func aStockPacketLeadsNobodyToHisOwnMachine() throws {
        let stock = try packet(1, [
            https(params: #"{"port":6287,"ipv4hint":["127.0.0.1"]}"#), https(priority: 10, target: "localhost", params: #"{"65280":"hex:188e"}"#),
            address("127.0.0.1"),
        ].joined(separator: ","))
        let careful = walk(KeyedHost(key(1)), stock)
        #expect(careful.places.addresses.isEmpty && careful.places.domains.isEmpty)
        #expect(careful.places.refused.map(\.remote) == ["127.0.0.1:6287", "localhost"])
        let daring = walk(KeyedHost(key(1)), allowsLocal: true, stock)
        #expect(addresses(daring) == ["127.0.0.1:6287"])
        // That name stands for no domain at all, unless it has a port.
        #expect(daring.places.domains.isEmpty && daring.places.refused.isEmpty)
        let named = try packet(1, https(target: "localhost", params: #"{"port":8443}"#))
        #expect(walk(KeyedHost(key(1)), allowsLocal: true, named).places.domains.map(\.authority) == ["localhost:8443"])
    }

    @Test(arguments: [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:192.168.1.1",
    ])
    func addressesOfThisMachineAndItsNetworksAreNotDialled(_ ip: String) throws {
        let text = ip.contains(":") ? "[\(ip)]:7" : "\(ip):7"
        let walk = walk(KeyedHost(key(1)), try packet(1, [https(), address(ip), endpoint("addr=\(text)", "relay=http://\(text)/")].joined(separator: ",")))
        #expect(walk.places.addresses.isEmpty)
        #expect(walk.places.endpoints.isEmpty)
        #expect(!walk.places.refused.isEmpty)
    }

    @Test(arguments: ["localhost", "a.localhost", "printer.local", "router", "127.1", "1.2.3.4", "0x7f.1", "2130706433", "example.0x1"])
    func namesOfThisMachineAndItsNetworksAreNotDialled(_ name: String) throws {
        let walk = walk(KeyedHost(key(1)), try packet(1, https(target: name) + "," + endpoint("relay=https://\(name)/")))
        #expect(walk.places.domains.isEmpty)
        // A relay may also be named by an address, if it is one of the public network.
        #expect(walk.places.endpoints.isEmpty == (name != "1.2.3.4"))
        #expect(walk.places.refused.contains { $0.remote == name })
    }

    @Test func aUsersRecordLeadsToTheHomeserverWhoseKeyCountsThere() throws {
        let user = try packet(1, https("_pubky", priority: 0, target: "\(key(2))") + "," + endpoint("addr=203.0.114.1:1"))
        let homeserver = try packet(2, [https(params: #"{"port":6287}"#), address("203.0.114.9"), endpoint("relay=https://relay.example/")].joined(separator: ","))
        let host = KeyedHost(key(1), isUser: true)
        #expect(walk(host).needed == [key(1)])
        #expect(walk(host, user).needed == [key(2)])
        let all = walk(host, user, homeserver)
        #expect(all.places.addresses == [KeyedAddress(address: SocketAddress("203.0.114.9:6287")!, key: key(2))])
        #expect(all.places.endpoints.map(\.id) == [key(2)])
        #expect(all.keys == [key(1), key(2)])
        // The user's key alone is another name, with other records.
        #expect(walk(KeyedHost(key(1)), user).places.endpoints.map(\.id) == [key(1)])
    }

    @Test func ringsAndLongChainsEnd() throws {
        let ring = walk(KeyedHost(key(1)), try packet(1, https(target: "\(key(2))")), try packet(2, https(target: "\(key(1))")))
        #expect(ring.keys == [key(1), key(2)] && ring.needed.isEmpty)
        var needed: [PublicKey] = []
        let chain = Walk(from: KeyedHost(key(1)), caution: Caution()) { wanted in
            needed.append(wanted)
            guard let number = (1...100).first(where: { key(UInt8($0)) == wanted }) else { return .missing }
            return (try? packet(UInt8(number), https(target: "\(key(UInt8(number + 1)))"))).map(Walk.Knowledge.packet) ?? .missing
        }
        #expect(chain.keys.count == 8)
        #expect(needed.count == 8)
    }

    @Test func onePacketBothersABoundedNumberOfPlaces() throws {
        let many = (1...30).map { address("203.0.114.\($0)") }.joined(separator: ",")
        #expect(walk(KeyedHost(key(1)), try packet(1, https() + "," + many)).places.addresses.count == 8)
        let domains = (1...9).map { https(priority: $0, target: "a\($0).example") }.joined(separator: ",")
        #expect(walk(KeyedHost(key(1)), try packet(1, domains)).places.domains.map(\.name) == ["a1.example", "a2.example", "a3.example", "a4.example"])
        let keys = (2...12).map { https(priority: $0, target: "\(key(UInt8($0)))") }.joined(separator: ",")
        #expect(walk(KeyedHost(key(1)), try packet(1, keys)).needed.count == 7)
    }

    @Test func hintsCountAndSVCBStandsInForHTTPS() throws {
        let hints = https(params: #"{"port":7,"ipv4hint":["203.0.114.1"],"ipv6hint":["2a00::1"]}"#, type: "SVCB")
        #expect(addresses(walk(KeyedHost(key(1)), try packet(1, hints))) == ["[2a00::1]:7", "203.0.114.1:7"])
        let both = walk(KeyedHost(key(1)), try packet(1, hints + "," + https(target: "example.com")))
        #expect(both.places.addresses.isEmpty && both.places.domains.map(\.name) == ["example.com"])
    }

    @Test func whatAsksForMoreThanWeCanIsLeftAlone() throws {
        let strict = https(params: #"{"mandatory":["65000"],"ipv4hint":["203.0.114.1"],"65000":"hex:00"}"#)
        #expect(walk(KeyedHost(key(1)), try packet(1, strict)).places == Places())
        #expect(walk(KeyedHost(key(1)), try packet(1, https(priority: 0) + "," + address("203.0.114.1"))).places == Places())
        #expect(addresses(walk(KeyedHost(key(1)), try packet(1, https(params: #"{"mandatory":["port"],"port":1,"ipv4hint":["203.0.114.1"]}"#)))) == ["203.0.114.1:1"])
    }
}
