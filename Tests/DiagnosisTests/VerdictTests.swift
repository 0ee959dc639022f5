import Diagnosis
import Paths
import Testing

/// A home with IPv4, a relay and somebody to ask.
private func home(_ mapping: AddressMapping = .independent) -> Facts {
    var facts = Facts()
    facts.v4.hasAddress = true
    facts.v4.isAsked = true
    facts.v4.isAnswered = true
    facts.v4.mapping = mapping
    facts.relays = [.usable]
    facts.sourcesAnswered = 2
    facts.isComplete = true
    return facts
}

/// The same when a key with an address and a relay was looked for.
private func home(reaching connection: Facts.Connection?, _ change: (inout Facts) -> Void = { _ in }) -> Facts {
    var facts = home()
    var peer = Facts.Peer()
    (peer.hasPacket, peer.hasEndpoint, peer.addresses, peer.relays, peer.connection) = (true, true, 1, 1, connection)
    facts.peer = peer
    change(&facts)
    return facts
}

private func verdict(reaching connection: Facts.Connection?, _ change: (inout Facts) -> Void = { _ in }) -> Verdict {
    Verdict(home(reaching: connection, change))
}

private func blocked(_ facts: Facts) -> Facts {
    var facts = facts
    (facts.v4.isAnswered, facts.v4.mapping) = (false, .unknown)
    return facts
}

@Test("a network that lets peers be reached is well")
func wellNetwork() {
    let verdict = Verdict(home())
    #expect(verdict.outcome == "well" && verdict.problems.isEmpty && verdict.advice == nil)
}

@Test("where STUN has no answer UDP is blocked, unless the DHT or the peer has answered over it")
func blockedUDP() {
    #expect(Verdict(blocked(home())).problems == [.udpBlocked])
    #expect(Verdict(blocked(home())).outcome == "well")
    var overDHT = blocked(home())
    overDHT.isDHTAnswered = true
    #expect(Verdict(overDHT).problems.isEmpty)
    let direct = home(reaching: .direct) { $0.peer?.ways = [.init(isRelay: false, .answered)] }
    #expect(Verdict(blocked(direct)).problems.isEmpty)
    var six = blocked(home())
    (six.v6.hasAddress, six.v6.isAsked, six.v6.isAnswered, six.v6.mapping) = (true, true, true, .none)
    #expect(Verdict(six).problems.isEmpty)
}

@Test("what nobody was asked about says nothing")
func unasked() {
    var facts = blocked(home())
    facts.v4.isAsked = false
    #expect(Verdict(facts).problems.isEmpty)
}

@Test("nothing answers at all")
func noWayOut() {
    var facts = blocked(home())
    (facts.relays, facts.sourcesAnswered, facts.sourcesSilent) = ([.unreachable], 0, 2)
    #expect(Verdict(facts).problems == [.noWayOut])
    facts.relays = [.refused]
    #expect(Verdict(facts).outcome == "sources-silent")
}

@Test("a symmetric NAT is a problem unless the other family has none")
func symmetric() {
    var facts = home(.dependent)
    #expect(Verdict(facts).problems == [.symmetricNAT])
    facts.v6.mapping = .none
    #expect(Verdict(facts).problems.isEmpty)
}

@Test("a key that is reached: directly, after punching, through a relay")
func reached() {
    #expect(Verdict(home(reaching: .direct)).outcome == "direct")
    let punched = verdict(reaching: .direct) { $0.peer?.isPunched = true }
    #expect(punched.outcome == "direct" && punched.problems.isEmpty && punched.text.contains("beginning through a relay"))
    let relayed = Verdict(home(reaching: .relayed))
    #expect(relayed.outcome == "relayed" && relayed.problems == [.staysRelayed])
    #expect(Verdict(blocked(home(reaching: .relayed))).problems == [.udpBlocked, .staysRelayed])
}

@Test("why a key is not reached decides the words and what to do")
func unreached() {
    let atNoRelay = Verdict(home(reaching: .failed(isRefused: false)))
    #expect(atNoRelay.outcome == "unreachable")
    #expect(atNoRelay.text == "The peer is not at its relay, and its address does not answer.")
    let relayGone = verdict(reaching: .failed(isRefused: false)) { $0.relays = [.unreachable] }
    #expect(relayGone.text.hasPrefix("The peer's relay can't be reached from here, and its address does not answer."))
    #expect(relayGone.problems == [.unreachable, .noRelay])
    let unnamed = verdict(reaching: .failed(isRefused: false)) {
        $0.peer?.relays = 0
        $0.peer?.addresses = 3
    }
    #expect(unnamed.text == "The packet names no relay and none of its addresses answers.")
    #expect(unnamed.advice?.contains("--relay") == true)
    let refused = verdict(reaching: .failed(isRefused: true)) { $0.relays = [.refused] }
    #expect(refused.outcome == "relay-refuses")
}

@Test("without a packet, and with one that names nothing")
func noEndpoint() {
    let unpublished = verdict(reaching: nil) { $0.peer = Facts.Peer() }, empty = verdict(reaching: nil) { $0.peer?.hasEndpoint = false }
    #expect(unpublished.problems == [.noPacket])
    #expect(empty.problems == [.noEndpoint])
}

@Test("a stranger is fatal only when no other way led to the peer")
func strangers() {
    let only = home(reaching: .wrongPeer) { $0.peer?.ways = [.init(isRelay: false, .wrongPeer)] }
    #expect(Verdict(only).problems == [.wrongPeer])
    let beside = home(reaching: .direct) { $0.peer?.ways = [.init(isRelay: false, .wrongPeer), .init(isRelay: false, .answered)] }
    #expect(Verdict(beside).outcome == "direct" && Verdict(beside).problems == [.strangers])
}

@Test("a request without an answer is fatal, one that was not sent is not")
func request() {
    let unserved = verdict(reaching: .direct) { $0.peer?.isServed = false }, served = verdict(reaching: .direct) { $0.peer?.isServed = true }
    #expect(unserved.problems == [.notServed])
    #expect(served.problems.isEmpty)
}

@Test("time that was over counts only when nothing else explains the end")
func incomplete() {
    let unasked = verdict(reaching: nil) {
        $0.peer = Facts.Peer()
        ($0.isComplete, $0.sourcesPending) = (false, 1)
    }
    #expect(unasked.problems == [.incomplete])
    let early = verdict(reaching: nil) { $0.isComplete = false }, late = verdict(reaching: .direct) { $0.isComplete = false }
    #expect(early.outcome == "incomplete")
    #expect(late.problems.isEmpty)
}

private let spans: [(nanoseconds: Int64, words: String)] = [
    (400_000, "0.4 ms"), (2_000_000, "2 ms"), (9_960_000, "10 ms"), (12_400_000, "12 ms"), (2_540_000_000, "2.5 s"), (8_000_000_000, "8 s"),
]

@Test("times are as long as a person reads them")
func times() {
    for span in spans { #expect(brief(.nanoseconds(span.nanoseconds)) == span.words) }
}
