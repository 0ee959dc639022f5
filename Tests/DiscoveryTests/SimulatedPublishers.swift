import Crypto
import Mainline
import Pkarr
@testable import Discovery

/// A publisher that follows the loop of keyhole-merging(7), with the real builder and the real course of a publication.
final class MergingPublisher: SimulatedStores.Actor {
    /// Rounds after which something is wrong.
    static let mostRounds = 200
    /// Microseconds for which one that stays leaves a packet of others alone, as pkarr-build does.
    static let settling: UInt64 = 20_000_000

    private enum Phase { case resolving, looking, putting, reading, puttingToRelay, done }

    private let stores: SimulatedStores
    private let key: SecretKey
    /// Whether each round is a process of its own, which remembers nothing but the last receipt.
    private let startsAnew: Bool
    private(set) var records: [ResourceRecord]
    private(set) var rounds = 0
    private var phase = Phase.done
    private var builder: PacketBuilder
    private var todo: [Int] = []
    private var found: SignedPacket?
    private var course: PublicationCourse!
    private var outcome = PutOutcome(lookup: LookupOutcome(ending: .complete))
    private var held: [Int: Int64] = [:]
    private var receipt: (timestamp: UInt64, unmerged: [SignedPacket])?
    private var built: PacketBuilder.Outcome!

    init(_ stores: SimulatedStores, _ key: SecretKey, startsAnew: Bool) {
        self.stores = stores
        self.key = key
        self.startsAnew = startsAnew
        records = []
        builder = Self.newBuilder(key)
    }

    private static func newBuilder(_ key: SecretKey) -> PacketBuilder {
        PacketBuilder(key: key, composition: Composition(ownSets: []), stamping: .deferringWhenMerging)
    }

    var isDone: Bool { phase == .done }
    var isBetween: Bool { todo.isEmpty }

    /// Begins to publish records; done when they are known to be published.
    func publish(_ records: [ResourceRecord]) {
        self.records = records
        rounds = 0
        receipt = nil
        begin(.resolving)
    }

    private func begin(_ next: Phase) {
        phase = next
        todo = stores.reached()
        if next == .resolving { found = nil }
    }

    func step() {
        guard !todo.isEmpty else { return finish() }
        let index = todo.removeFirst()
        let present = stores.nodes[index].packet
        switch phase {
        case .resolving:
            if let present, found.map({ present.isMoreRecent(than: $0) }) ?? true { found = present }
        case .looking:
            held[index] = present.map { Int64($0.timestamp) } ?? 0
            guard let present, present != course.packet else { break }
            if present.isMoreRecent(than: course.packet) { outcome.newer = MutableItem(present) }
            if !course.basis.takesIntoAccount(present) { outcome.unmerged.append(MutableItem(present)) }
        case .putting:
            guard let cas = held[index] else { break }
            let place = Contact(id: NodeID(hashing: [UInt8(index)]), address: .init("192.0.2.1:\(index + 1)")!)
            outcome.nodes.append(PutOutcome.Node(node: place, result: stores.nodes[index].put(course.packet, cas: cas)))
        case .reading: if let present { course.note(present) }
        case .puttingToRelay: _ = stores.nodes[index].put(course.packet, cas: nil)
        case .done: break
        }
    }

    private func finish() {
        switch phase {
        case .resolving:
            guard isSettled, build() else { return begin(.resolving) }
            course = PublicationCourse(
                built.packet!, onto: PublicationBasis(previous: built.previous, known: Set(built.known)), usesDHT: true, hasRelays: true)
            outcome = PutOutcome(lookup: LookupOutcome(ending: .complete))
            held = [:]
            begin(.looking)
        case .looking where outcome.newer == nil && outcome.unmerged.isEmpty: begin(.putting)
        case .looking, .putting:
            course.note(outcome)
            proceed()
        case .reading:
            course.noteAnswer()
            proceed()
        case .puttingToRelay: proceed()
        case .done: break
        }
    }

    private func proceed() {
        course.proceed()
        switch course.step {
        case .readDHT: begin(.reading)
        case .putToRelays: begin(.puttingToRelay)
        case .end where course.isConfirmed: phase = .done
        case .end:
            receipt = (course.packet.timestamp, course.unmerged)
            begin(.resolving)
        case .putOnDHT, .askRelays, .readRelays: fatalError("the DHT is there")
        }
    }

    private var isSettled: Bool {
        guard !startsAnew, let found, built?.packet != found else { return true }
        return found.timestamp + Self.settling <= stores.now
    }

    /// Returns false when nothing can be signed yet.
    private func build() -> Bool {
        rounds += 1
        precondition(rounds < Self.mostRounds, "no end in sight")
        if startsAnew { builder = Self.newBuilder(key) }
        func take(_ body: (inout PacketBuilder) throws(PacketBuilder.Failure) -> PacketBuilder.Outcome) -> Bool {
            do throws(PacketBuilder.Failure) {
                let outcome = try body(&builder)
                if outcome.packet != nil { built = outcome }
                return true
            } catch { return false }
        }
        let now = stores.now
        var isSigned = true
        if let found { isSigned = take { builder throws(PacketBuilder.Failure) in try builder.take(found, now: now) } && isSigned }
        for packet in receipt?.unmerged ?? [] {
            let timestamp = receipt!.timestamp
            isSigned = take { builder throws(PacketBuilder.Failure) in try builder.take(packet, missingIn: timestamp, now: now) } && isSigned
        }
        let records = records
        return take { builder throws(PacketBuilder.Failure) in try builder.take(records, now: now) } && isSigned
    }
}

/// A stock homeserver (spec/pkarr-wire.md, 4.1): one packet for all its life, and no start if most nodes have something else.
final class StockHomeserver: SimulatedStores.Actor {
    private let stores: SimulatedStores
    private let key: SecretKey
    private var todo: [Int] = []
    private var isLooking = false
    private var isStarting = false
    private var results: [PutOutcome.Result] = []
    private(set) var packet: SignedPacket?
    private(set) var isDone = true
    var isBetween: Bool { todo.isEmpty }
    private(set) var failedStarts = 0

    init(_ stores: SimulatedStores, _ key: SecretKey) {
        self.stores = stores
        self.key = key
    }

    /// Signs anew and puts.
    func start(_ records: [ResourceRecord]) {
        packet = try! SignedPacket(signing: DNSMessage(answers: records), timestamp: stores.now, with: key)
        putAgain()
        isStarting = true
    }

    /// The hourly put of the same bytes.
    func putAgain() {
        isDone = false
        isStarting = false
        isLooking = true
        todo = stores.reached()
        results = []
    }

    func step() {
        if isLooking, !todo.isEmpty {
            // It looks for nodes, and does not care what they have.
            todo.removeFirst()
        } else if isLooking {
            isLooking = false
            todo = stores.reached()
        } else if !todo.isEmpty {
            results.append(stores.nodes[todo.removeFirst()].put(packet!, cas: nil))
        } else {
            isDone = true
            if isStarting, results.count(where: { $0 != .stored }) * 2 > results.count { failedStarts += 1 }
        }
    }
}
