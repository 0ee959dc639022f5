import HolePunching
import Platform
import Testing

@testable import Paths

private func addresses(_ texts: String...) -> [SocketAddress] { texts.map { SocketAddress($0)! } }

private var home: CandidateSources {
    var sources = CandidateSources(sockets: addresses("0.0.0.0:4433", "[::]:4433"))
    sources.network.addresses = ["192.168.1.2", "fe80::2", "2001:db8::2", "fd00::2"].map { InterfaceAddress("eth0", IPAddress($0)!) }
    return sources
}

@Test("a socket on all addresses is at those of the interfaces, the surest first")
func hosts() {
    #expect(home.all == [
        Candidate(SocketAddress("[2001:db8::2]:4433")!, .host), Candidate(SocketAddress("192.168.1.2:4433")!, .host),
        Candidate(SocketAddress("[fd00::2]:4433")!, .host),
    ])
}

@Test("everybody is told what means something everywhere; the network's own addresses only when that is wanted")
func published() {
    var sources = home
    sources.configured = addresses("203.0.113.5:11204")
    sources.mapped = addresses("203.0.113.6:4433", "203.0.113.5:11204")
    sources.reflexive = addresses("203.0.113.6:61000")
    #expect(sources.published == addresses("203.0.113.5:11204", "203.0.113.6:4433", "[2001:db8::2]:4433"))
    sources.publishesLAN = true
    #expect(sources.published.suffix(3) == addresses("192.168.1.2:4433", "[2001:db8::2]:4433", "[fd00::2]:4433")[...])
}

@Test("an address known in several ways is one candidate, of the surest kind")
func duplicates() {
    var sources = home
    sources.configured = addresses("203.0.113.5:4433")
    sources.mapped = sources.configured
    sources.reflexive = addresses("[2001:db8::2]:4433", "203.0.113.5:4433", "203.0.113.5:61000")
    let found = sources.all
    #expect(found.prefix(3) == [
        Candidate(sources.configured[0], .configured), Candidate(SocketAddress("[2001:db8::2]:4433")!, .host),
        Candidate(SocketAddress("203.0.113.5:61000")!, .reflexive),
    ])
    #expect(Set(found.map(\.address)).count == found.count)
}

@Test("a socket that was bound to one address is there, whatever address it is")
func bound() {
    let sources = CandidateSources(sockets: addresses("127.0.0.1:4433"))
    #expect(sources.published == sources.sockets)
    #expect(sources.all == [Candidate(sources.sockets[0], .host)])
}

@Test("of a machine with many addresses a few are told")
func bounded() {
    var sources = home
    for number in 1...100 {
        sources.network.addresses.append(InterfaceAddress("eth0", IPAddress("203.0.113.\(number)")!))
        sources.network.addresses.append(InterfaceAddress("eth0", IPAddress("2001:db8::1:\(number)")!))
    }
    #expect(sources.all.count == 2 * CandidateSources.mostHosts)
}
