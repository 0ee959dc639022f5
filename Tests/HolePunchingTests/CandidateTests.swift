import HolePunching
import Platform
import Testing

@Test("the same address known in two ways is two candidates")
func candidatesByAddressAndSource() {
    let address = SocketAddress("192.0.2.1:4433")!
    #expect(Set([Candidate(address, .host), Candidate(address, .mapped), Candidate(address, .host)]).count == 2)
}
