import Crypto
import Mainline
import Pkarr

/// The same numbers each time.
struct Generator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}

/// One DHT node's memory for one key, as BEP 44 has it.
struct SimulatedStore {
    /// libtorrent keeps the first of two items with one sequence, the mainline library the last (spec/pkarr-wire.md, 3.3).
    enum Kind: CaseIterable { case libtorrent, mainline }
    let kind: Kind
    private(set) var packet: SignedPacket?

    init(_ kind: Kind) { self.kind = kind }

    mutating func put(_ new: SignedPacket, cas: Int64?) -> PutOutcome.Result {
        if let packet {
            if let cas, cas != Int64(packet.timestamp) { return .refused(KRPCError(code: 301, text: "")) }
            if new.timestamp < packet.timestamp { return .refused(KRPCError(code: 302, text: "")) }
            if new.timestamp == packet.timestamp, kind == .libtorrent { return .stored }
        }
        packet = new
        return .stored
    }
}

/// Nodes near one key, a clock, and chance. Every message to a node is a moment of its own, so that those of several publishers mix.
final class SimulatedStores {
    static let count = 20
    var nodes: [SimulatedStore]
    var generator: Generator
    /// Microseconds since 1970.
    var now: UInt64 = 1_800_000_000_000_000
    /// One message of so many gets lost; 0 for none.
    let loss: Int

    init(seed: UInt64, loss: Int) {
        generator = Generator(seed: seed)
        self.loss = loss
        nodes = (0..<Self.count).map { SimulatedStore($0 % 3 == 0 ? .mainline : .libtorrent) }
    }

    /// The nodes that a look-up reaches, in the order of their answers.
    func reached() -> [Int] {
        (0..<Self.count).filter { _ in loss == 0 || Int.random(in: 0..<loss, using: &generator) > 0 }.shuffled(using: &generator)
    }

    var newest: SignedPacket? { nodes.compactMap(\.packet).reduce(nil) { best, next in best.map { next.isMoreRecent(than: $0) ? next : $0 } ?? next } }

    /// Lets everybody go on in a random order until all are done.
    func run(_ actors: [any Actor]) {
        while true {
            let busy = actors.filter { !$0.isDone }
            guard let one = busy.randomElement(using: &generator) else { return }
            // Messages mix; or one comes to the end of what it is doing, and the others find it between looking and putting; or it is so
            // fast that it is done while they stand there.
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: advance(one)
            case 1: repeat { advance(one) } while !one.isBetween && !one.isDone
            default: for _ in 0..<120 where !one.isDone { advance(one) }
            }
        }
    }

    private func advance(_ actor: any Actor) {
        now += UInt64.random(in: 1_000...10_000, using: &generator)
        actor.step()
    }

    /// Somebody who does one thing at a time.
    protocol Actor: AnyObject {
        var isDone: Bool { get }
        /// Whether all nodes have been asked, and what comes next has not begun.
        var isBetween: Bool { get }
        func step()
    }
}
