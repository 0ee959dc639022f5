import Crypto
import Iroh
import Platform
import Testing

@testable import Tunnel

private final class Link: PeerConnecting {
    var peer: EndpointAddress
    var isBusy = false
    var closed = 0

    init(_ peer: EndpointAddress) { self.peer = peer }
    func close(reason: String) { closed += 1 }
}

private let start = Instant(nanoseconds: 1_000_000_000_000)
private func at(_ seconds: Int) -> Instant { start + .seconds(seconds) }

private func place(_ number: Int, port: UInt16 = 1) -> EndpointAddress {
    let seed = [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 1, count: 30)
    return EndpointAddress(id: SecretKey(seed: seed)!.publicKey, addresses: [SocketAddress(ip: .v4(0x7f00_0001), port: port)])
}

@Suite struct KnownPeersTests {
    private var peers = KnownPeers<Link>()

    private mutating func learn(_ endpoint: EndpointAddress, isGiven: Bool = false, at seconds: Int = 0) -> Link? {
        peers.learn(endpoint, isGiven: isGiven, now: at(seconds)) { Link(endpoint) }
    }

    @Test mutating func aConnectionWithoutAStreamEndsAfterAMinuteUnlessALineToldOfThePeer() throws {
        let requested = try #require(learn(place(1))), given = try #require(learn(place(2), isGiven: true))
        let busy = try #require(learn(place(3)))
        busy.isBusy = true
        for seconds in stride(from: 15, through: 45, by: 15) { peers.endIdle(now: at(seconds)) }
        #expect(requested.closed == 0)
        peers.endIdle(now: at(60))
        #expect(requested.closed == 1 && given.closed == 0 && busy.closed == 0)
        // From when its last stream was seen.
        busy.isBusy = false
        peers.endIdle(now: at(119))
        #expect(busy.closed == 0)
        peers.endIdle(now: at(120))
        #expect(busy.closed == 1)
        // It is known all the same, and asking for it is use.
        let again = peers.link(to: place(1).id, now: at(130))
        #expect(again === requested)
    }

    @Test mutating func ofManyTheOneMakesWayThatWasNotUsedForLongest() throws {
        var links: [Link] = []
        for number in 0..<256 { links.append(try #require(learn(place(number), at: number))) }
        _ = peers.link(to: place(0).id, now: at(300))
        links[1].isBusy = true
        let next = learn(place(1000), at: 301)
        #expect(next != nil && links[2].closed == 1 && peers.count == 256)
        let forgotten = peers.link(to: place(2).id, now: at(301))
        #expect(forgotten == nil)
        for link in links { link.isBusy = true }
        next?.isBusy = true
        let refused = learn(place(1001), at: 302), given = learn(place(1002), isGiven: true, at: 302)
        #expect(refused == nil && given != nil)
    }

    @Test mutating func aNewPlaceReplacesTheOldOne() throws {
        let link = try #require(learn(place(1)))
        let same = learn(place(1, port: 2), isGiven: true)
        #expect(same === link && link.peer == place(1, port: 2))
        peers.endIdle(now: at(1000))
        #expect(link.closed == 0)
    }
}
