import Crypto
import Pkarr
import Platform
import Testing

@testable import Ladder

private let start = Instant(nanoseconds: 1_000_000_000_000)
private func at(_ seconds: Int) -> Instant { start + .seconds(seconds) }

@Suite struct PacketBookTests {
    private func timestamp(_ knowledge: Walk.Knowledge) -> UInt64? { if case .packet(let packet) = knowledge { packet.timestamp } else { nil } }
    private func isUnknown(_ knowledge: Walk.Knowledge) -> Bool { if case .unknown = knowledge { true } else { false } }
    private func isMissing(_ knowledge: Walk.Knowledge) -> Bool { if case .missing = knowledge { true } else { false } }

    @Test func aPacketIsKnownForItsTTLWithinBounds() throws {
        for (ttl, life) in [(0, 60), (100, 100), (86400, 300)] {
            var book = PacketBook()
            book.take(try packet(1, #"{"name":"@","type":"A","ttl":\#(ttl),"address":"203.0.114.1"}"#), now: at(0))
            #expect(timestamp(book.knowledge(of: key(1), since: at(0), now: at(life - 1))) == 1)
            #expect(isUnknown(book.knowledge(of: key(1), since: at(0), now: at(life))))
            #expect(isUnknown(book.knowledge(of: key(1), since: at(1), now: at(2))))
        }
    }

    @Test func anOlderPacketReplacesNoNewerOne() throws {
        var book = PacketBook()
        for stamp in [5, 4, 6, 5] as [UInt64] { book.take(try packet(1, address("203.0.114.1"), timestamp: stamp), now: at(Int(stamp))) }
        #expect(timestamp(book.knowledge(of: key(1), since: at(0), now: at(7))) == 6)
    }

    @Test func thatThereIsNoneIsBelievedForAMoment() throws {
        var book = PacketBook()
        book.take(LadderError(.keyNotFound, "nobody has it"), of: key(1), now: at(0))
        #expect(isMissing(book.knowledge(of: key(1), since: at(0), now: at(4))))
        #expect(book.problem(of: key(1))?.status == .keyNotFound)
        #expect(isUnknown(book.knowledge(of: key(1), since: at(0), now: at(5))))
    }

    @Test func aFailedLookUpTakesNothingAway() throws {
        var book = PacketBook()
        book.take(try packet(1, address("203.0.114.1")), now: at(0))
        book.take(LadderError(.unreachable, "no network"), of: key(1), now: at(10))
        #expect(timestamp(book.knowledge(of: key(1), since: at(10), now: at(11))) == 1)
    }

    @Test func nobodyIsAskedTwiceForTheSame() throws {
        var book = PacketBook()
        #expect(book.wants(key(1), isFresh: false, now: at(0)) == true)
        #expect(book.wants(key(1), isFresh: false, now: at(1)) == false)
        #expect(book.wants(key(1), isFresh: true, now: at(2)) == true)
        #expect(book.wants(key(1), isFresh: true, now: at(3)) == false)
        #expect(book.wants(key(1), isFresh: false, now: at(3)) == false)
        #expect(book.wants(key(1), isFresh: false, now: at(22)) == true)
        book.take(try packet(1, address("203.0.114.1")), now: at(23))
        #expect(book.wants(key(1), isFresh: true, now: at(24)) == true)
    }

    @Test func onlySoManyQuestionsStandAtOnce() throws {
        var book = PacketBook()
        let keys = (0...256).map { number in SecretKey(seed: [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 9, count: 30))!.publicKey }
        var asked = 0
        for key in keys where book.wants(key, isFresh: false, now: at(0)) { asked += 1 }
        #expect(asked == 256)
        // An answer makes room, and so does that there was none for long.
        book.take(LadderError(.keyNotFound, "nobody has it"), of: keys[0], now: at(1))
        let answered = book.wants(keys[256], isFresh: false, now: at(1))
        let tooMany = book.wants(keys[0], isFresh: false, now: at(2))
        let later = book.wants(keys[0], isFresh: false, now: at(20))
        #expect(answered && !tooMany && later)
    }
}
