import Crypto
import Platform
import QUIC
import Testing

@testable import HolePunching

func keys(_ role: PunchSession.Role, _ seed: UInt8 = 1) -> SessionKeys {
    SessionKeys(exported: (0..<SessionKeys.exportedLength).map { UInt8($0) &* 7 &+ seed }, role: role)!
}

@Suite struct ControlMessages {
    private static let addresses = [
        Candidate(SocketAddress("192.0.2.1:4433")!, .host), Candidate(SocketAddress("[2001:db8::7]:1")!, .reflexive),
        Candidate(SocketAddress("203.0.113.9:65535")!, .mapped),
    ]
    private static let all: [ControlMessage] = [
        .call(round: 1, candidates: []), .call(round: .max, candidates: addresses), .answer(round: 7, candidates: addresses), .request,
        .probe(round: 258), .reply(number: 1 << 30),
    ]

    @Test("Each message reads back, and nothing that is shorter or longer does", arguments: all)
    func roundTrip(message: ControlMessage) {
        let bytes = message.encoded
        #expect(ControlMessage(decoding: bytes) == message)
        #expect(ControlMessage(decoding: bytes + [0]) == nil)
        for count in 0..<bytes.count { #expect(ControlMessage(decoding: Array(bytes[..<count])) == nil) }
    }

    @Test("The bytes are those of the manual page")
    func bytes() {
        let call = ControlMessage.call(round: 2, candidates: [Candidate(SocketAddress("192.0.2.1:4433")!, .reflexive)])
        #expect(call.encoded == [1, 0, 0, 0, 2, 1, 2, 4, 192, 0, 2, 1, 0x11, 0x51])
        #expect(ControlMessage.request.encoded == [3])
        #expect(ControlMessage.probe(round: 1).encoded == [4, 0, 0, 0, 1])
        #expect(ControlMessage.reply(number: 9).encoded == [5, 0, 0, 0, 9])
    }

    @Test("More candidates than there may be are cut off, or refused")
    func many() {
        let address = Candidate(SocketAddress("[2001:db8::7]:1")!, .host)
        let call = ControlMessage.call(round: 1, candidates: Array(repeating: address, count: 40))
        #expect(ControlMessage(decoding: call.encoded) == .call(round: 1, candidates: Array(repeating: address, count: 16)))
        #expect(call.encoded.count == ControlMessage.mostBytes)
        #expect(ControlMessage(decoding: [1, 0, 0, 0, 1, 17] + Array(repeating: [1, 4, 1, 2, 3, 4, 0, 9], count: 17).flatMap { $0 }) == nil)
    }
}

@Suite struct ControlDatagrams {
    private let sealed = ControlDatagram.seal(.probe(round: 3), number: 5, keys: keys(.client))

    @Test("Only the other end of the same connection opens one, and only unchanged")
    func sealing() {
        sealed.withUnsafeBytes { bytes in
            #expect(ControlDatagram.sessionTag(of: bytes) == keys(.server).tag)
            #expect(ControlDatagram.open(bytes, keys: keys(.server))?.message == .probe(round: 3))
            #expect(ControlDatagram.open(bytes, keys: keys(.server))?.number == 5)
            #expect(ControlDatagram.open(bytes, keys: keys(.client)) == nil)
            #expect(ControlDatagram.open(bytes, keys: keys(.server, 2)) == nil)
        }
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            changed.withUnsafeBytes { #expect(ControlDatagram.open($0, keys: keys(.server)) == nil) }
        }
    }

    @Test("To QUIC it is a short packet to an id of its own")
    func disguise() {
        #expect(sealed[0] == 0x40)
        #expect(Array(sealed[1..<9]) == ControlDatagram.destinationID)
        var long = sealed
        long[0] |= 0x80
        long.withUnsafeBytes { #expect(ControlDatagram.sessionTag(of: $0) == nil) }
        sealed[..<20].withUnsafeBytes { #expect(ControlDatagram.sessionTag(of: $0) == nil) }
    }

    @Test("The longest message goes through any network that QUIC goes through")
    func longest() { #expect(ControlDatagram.mostBytes <= 1200) }
}

@Suite struct ReplayWindows {
    @Test("A number counts once, in any order within the window, and not at all below it")
    func window() {
        var window = ReplayWindow()
        let numbers: [UInt64] = [0, 3, 1, 2, 66, 4, 3, 2, 66, 4, 1, 5, 1_000, 66, .max, .max]
        let admitted = numbers.filter { window.admit($0) }
        #expect(admitted == [3, 1, 2, 66, 4, 5, 1_000, .max])
    }
}

@Suite struct ProbedCandidates {
    @Test("Addresses that are nobody's, everybody's or our own are not probed", arguments: [
        "127.0.0.1:80", "0.0.0.0:80", "0.1.2.3:80", "169.254.1.1:80", "224.0.0.1:80", "255.255.255.255:80", "192.0.2.1:0", "[::1]:80", "[::]:80",
        "[fe80::1]:80", "[ff02::1]:80",
    ])
    func useless(text: String) {
        #expect(Candidate.probed([Candidate(SocketAddress(text)!, .host)]).isEmpty)
    }

    @Test("One address is not probed at more than three ports, nor more than sixteen addresses")
    func many() {
        let ports = (1...100).map { Candidate(SocketAddress(ip: .v4(0xc000_0201), port: $0), .host) }
        #expect(Candidate.probed(ports).count == 3)
        let hosts = (1...100).map { Candidate(SocketAddress(ip: .v4(0xc000_0200 + $0), port: 9), .host) }
        #expect(Candidate.probed(hosts).count == 16)
        #expect(Candidate.probed([hosts[0], hosts[0]]).count == 1)
    }
}
