import Crypto
import EventLoop
import Pkarr
import Platform
import PublicationState
import RateLimits

/// Publishes the packets of many keys at a bounded pace and in bounded memory, tries again what nobody could be reached for, and keeps
/// all of them published if wanted.
///
/// Each packet gives one receipt, in the order in which packets were given, except those that a later one of the same key has replaced
/// before their turn came. With a refresh, a key's last packet is put again and again with the same signature, until it is overtaken, and
/// each time gives a receipt.
public final class PublicationQueue {
    /// How fast, how often and for how long.
    public struct Policy: Sendable {
        /// Publications in a time; nil for as many as the network takes.
        public var pace: Quota?
        /// How often a packet that reached nobody is tried again.
        public var retries: Int
        /// How often packets are put again, nil to put them once. Then what reached nobody is tried until it does.
        public var refresh: Duration?
        /// When nobody at all has answered for so long, there is no point in going on with the next packet.
        public var longestOutage: Duration = .seconds(300)

        public init(pace: Quota?, retries: Int, refresh: Duration?) {
            self.pace = pace
            self.retries = retries
            self.refresh = refresh
        }
    }

    /// Packets that wait for their first turn before the queue asks to be given no more.
    static let mostWaiting = 64
    /// Packets whose receipts are held back, because an earlier one is tried again or takes longer, before the next one has to wait.
    /// A receipt has some kilobytes.
    static let mostUnreported = 2048
    /// With a refresh, a packet that nobody has stored is tried again sooner than that, for the network may just be coming up.
    static let sooner: Duration = .seconds(30)
    /// Before the first retry, and at most before a later one.
    static let backoff = Backoff(first: .seconds(1), longest: .seconds(30))

    private final class Entry {
        enum State: Equatable { case waiting(Turn), underWay, held }
        var packet: SignedPacket
        var state = State.waiting(.first)
        /// What the author of ``packet`` knew, if that is known.
        var basis: PublicationBasis?
        /// Came while ``packet`` was under way.
        var next: (packet: SignedPacket, basis: PublicationBasis?)?
        /// The timestamp of the last packet that was found again after it had been put: all up to there has been taken into account.
        var confirmed: UInt64?
        /// The timestamp of the last packet that was stored.
        var stored: UInt64?
        var timer: Timer?
        /// Where the receipt of ``packet`` belongs, once it has been begun.
        var place: Int?
        var attempts = 0
        /// Of the last attempt, while another one is to come.
        var failed: Receipt?

        init(_ packet: SignedPacket, onto basis: PublicationBasis?) {
            self.packet = packet
            self.basis = basis
        }

        /// What may be replaced.
        var replaceable: PublicationBasis? {
            guard var basis, let confirmed else { return basis }
            basis.previous = max(basis.previous ?? 0, confirmed)
            return basis
        }
    }

    /// What a packet waits for, most urgent first: what it holds back has waited longest, and a refresh can wait.
    private enum Turn: Int, CaseIterable { case retry, first, refresh }

    private let publisher: Publisher
    private let memory: PublicationMemory?
    private let loop: EventLoop
    private let policy: Policy
    private let onReceipt: (Receipt) -> Void
    private let onChange: () -> Void
    private var entries: [PublicKey: Entry] = [:]
    private var turns = Turn.allCases.map { _ in FIFO<PublicKey>() }
    private var bucket: TokenBucket?
    private var timer: Timer?
    private var begun = 0
    private var reported = 0
    /// Receipts that came before an earlier one, by the order of their publications.
    private var early: [Int: Receipt] = [:]
    /// When the first publication failed of those that have reached nobody since the last one that did.
    private var failingSince: Instant?

    /// Called when the memory can't be used. The packet gets no receipt.
    public var onFailure: (StateError) -> Void = { _ in }

    /// - Parameters:
    ///   - memory: What other processes and later runs have to know; nil when there are none.
    ///   - onReceipt: Called from the loop, or from within ``add(_:)``.
    ///   - onChange: Called when ``isFull``, ``isEmpty`` or ``isCutOff`` may have changed.
    public init(
        _ publisher: Publisher, on loop: EventLoop, _ policy: Policy, memory: PublicationMemory? = nil,
        onReceipt: @escaping (Receipt) -> Void, onChange: @escaping () -> Void
    ) {
        self.publisher = publisher
        self.memory = memory
        self.loop = loop
        self.policy = policy
        self.onReceipt = onReceipt
        self.onChange = onChange
        bucket = policy.pace.map { TokenBucket($0) }
        timer = Timer(on: loop) { [unowned self] in proceed() }
        publisher.onRoom = { [unowned self] in proceed() }
    }

    /// Whether the giver should wait.
    public var isFull: Bool { turns[Turn.first.rawValue].count >= Self.mostWaiting || begun - reported >= Self.mostUnreported }
    /// Whether nothing is left to do, now or later.
    public var isEmpty: Bool { entries.isEmpty }
    /// Whether nobody has answered for ``Policy/longestOutage``.
    public var isCutOff: Bool { failingSince.map { .now - $0 >= policy.longestOutage } ?? false }

    /// Adds a packet. It replaces the one of the same key, unless that one is more recent: then it is not published, and its receipt says so.
    public func add(_ packet: SignedPacket, onto basis: PublicationBasis? = nil) {
        guard let entry = entries[packet.publicKey] else {
            entries[packet.publicKey] = Entry(packet, onto: basis)
            return enqueue(packet.publicKey, for: .first)
        }
        let last = entry.next?.packet ?? entry.packet
        guard !last.isMoreRecent(than: packet) else {
            begun += 1
            return report(Receipt(packet: packet, overtakenBy: last), as: begun)
        }
        if entry.state == .underWay {
            entry.next = (packet, basis)
        } else {
            if let failed = entry.failed { report(failed, as: entry.place!) }
            replace(entry, with: packet, onto: basis)
        }
    }

    private func replace(_ entry: Entry, with packet: SignedPacket, onto basis: PublicationBasis?) {
        entry.packet = packet
        entry.basis = basis
        entry.place = nil
        entry.failed = nil
        entry.attempts = 0
        if entry.state != .waiting(.first) { enqueue(packet.publicKey, for: .first) }
    }

    private func enqueue(_ key: PublicKey, for turn: Turn) {
        entries[key]!.state = .waiting(turn)
        entries[key]!.timer = nil
        turns[turn.rawValue].append(key)
        proceed()
    }

    /// Takes whose turn it is; nil when nobody waits.
    private func next() -> Entry? {
        for turn in Turn.allCases {
            while !turns[turn.rawValue].isEmpty {
                // Who has been given a more urgent turn meanwhile has left the old place empty.
                if let entry = entries[turns[turn.rawValue].removeFirst()], entry.state == .waiting(turn) { return entry }
            }
        }
        return nil
    }

    private func proceed() {
        while publisher.hasRoom, turns.contains(where: { !$0.isEmpty }) {
            let now = Instant.now
            if let turn = bucket?.nextTurn, turn > now { return timer!.start(after: turn - now) }
            guard let entry = next() else { return }
            _ = bucket?.take(now: now)
            begin(entry)
        }
    }

    private func begin(_ entry: Entry) {
        entry.state = .underWay
        entry.attempts += 1
        if entry.place == nil {
            begun += 1
            entry.place = begun
        }
        let (packet, basis, stored) = (entry.packet, entry.replaceable, entry.stored)
        guard let memory else {
            return publisher.publish(packet, onto: basis, previous: stored) { [self] in finish(entry, $0) }
        }
        memory.guarding(packet, onto: basis) { [publisher] completion in
            publisher.publish(packet, onto: basis, previous: stored, completion: completion)
        } completion: { [self] result in
            switch result {
            case .success(let receipt): Timer.once(on: loop, after: .zero) { [self] in finish(entry, receipt) }
            case .failure(let error): onFailure(error)
            }
        }
    }

    private func finish(_ entry: Entry, _ receipt: Receipt) {
        var receipt = receipt
        receipt.attempts = entry.attempts
        failingSince = receipt.standing == .unreachable ? failingSince ?? .now : nil
        settle(entry, receipt)
        proceed()
        onChange()
    }

    private func settle(_ entry: Entry, _ receipt: Receipt) {
        let key = entry.packet.publicKey
        let place = entry.place!
        entry.state = .held
        if receipt.isStored { entry.stored = entry.packet.timestamp }
        if receipt.isConfirmed == true { entry.confirmed = entry.packet.timestamp }
        if let next = entry.next {
            entry.next = nil
            replace(entry, with: next.packet, onto: next.basis)
        } else if let refresh = policy.refresh, !receipt.isOvertaken {
            entry.place = nil
            entry.attempts = 0
            hold(entry, for: receipt.standing == .stored ? refresh : min(refresh, Self.sooner), then: .refresh)
        } else if policy.refresh == nil, receipt.standing == .unreachable, entry.attempts <= policy.retries {
            entry.failed = receipt
            return hold(entry, for: Self.backoff.delay(after: entry.attempts, chance: .random(in: 0...1)), then: .retry)
        } else {
            entries[key] = nil
        }
        report(receipt, as: place)
    }

    private func hold(_ entry: Entry, for time: Duration, then turn: Turn) {
        let key = entry.packet.publicKey
        entry.timer = Timer(on: loop) { [unowned self] in enqueue(key, for: turn) }
        entry.timer?.start(after: time)
    }

    private func report(_ receipt: Receipt, as place: Int) {
        early[place] = receipt
        while let next = early.removeValue(forKey: reported + 1) {
            reported += 1
            onReceipt(next)
        }
    }
}
