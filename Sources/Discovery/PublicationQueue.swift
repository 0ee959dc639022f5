import Crypto
import EventLoop
import Pkarr

/// Publishes the packets of many keys, a bounded number at a time, and keeps them published if wanted.
///
/// Each packet gives one receipt, in the order in which packets were given, except those that a later one of the same key has replaced
/// before their turn came. With a refresh, a key's last packet is put again and again with the same signature, until it is overtaken.
public final class PublicationQueue {
    /// Publications under way at once. Each is a DHT look-up and a request to each relay.
    static let mostUnderWay = 16
    /// Keys that wait before the queue asks to be given no more.
    static let mostWaiting = 64
    /// A packet that nobody has stored is tried again sooner than the refresh, for the network may just be coming up.
    static let retry: Duration = .seconds(30)

    private final class Entry {
        enum State { case waiting, underWay, held }
        var packet: SignedPacket
        var state = State.waiting
        /// Came while ``packet`` was under way.
        var next: SignedPacket?
        /// The timestamp of the last packet that was stored.
        var stored: UInt64?
        var timer: Timer?

        init(_ packet: SignedPacket) { self.packet = packet }
    }

    private let publisher: Publisher
    private let loop: EventLoop
    private let refresh: Duration?
    private let onReceipt: (Receipt) -> Void
    private let onChange: () -> Void
    private var entries: [PublicKey: Entry] = [:]
    private var waiting: [PublicKey] = []
    private var underWay = 0
    private var begun = 0
    private var reported = 0
    /// Receipts that came before an earlier one, by the order of their publications.
    private var early: [Int: Receipt] = [:]

    /// - Parameters:
    ///   - refresh: How often packets are put again; nil to put them once.
    ///   - onChange: Called when ``isFull`` or ``isEmpty`` may have changed.
    public init(
        _ publisher: Publisher, on loop: EventLoop, refresh: Duration?, onReceipt: @escaping (Receipt) -> Void, onChange: @escaping () -> Void
    ) {
        self.publisher = publisher
        self.loop = loop
        self.refresh = refresh
        self.onReceipt = onReceipt
        self.onChange = onChange
    }

    /// Whether the giver should wait.
    public var isFull: Bool { waiting.count >= Self.mostWaiting }
    /// Whether nothing is left to do, now or later.
    public var isEmpty: Bool { entries.isEmpty }

    /// Adds a packet. It replaces the one of the same key, unless that one is more recent: then it is not published, and its receipt says so.
    public func add(_ packet: SignedPacket) {
        guard let entry = entries[packet.publicKey] else {
            entries[packet.publicKey] = Entry(packet)
            return enqueue(packet.publicKey)
        }
        let last = entry.next ?? entry.packet
        guard !last.isMoreRecent(than: packet) else {
            begun += 1
            return report(Receipt(packet: packet, overtakenBy: last), as: begun)
        }
        switch entry.state {
        case .waiting: entry.packet = packet
        case .underWay: entry.next = packet
        case .held:
            entry.packet = packet
            enqueue(packet.publicKey)
        }
    }

    private func enqueue(_ key: PublicKey) {
        entries[key]!.state = .waiting
        entries[key]!.timer = nil
        waiting.append(key)
        proceed()
    }

    private func proceed() {
        while underWay < Self.mostUnderWay, !waiting.isEmpty {
            let entry = entries[waiting.removeFirst()]!
            entry.state = .underWay
            underWay += 1
            begun += 1
            let place = begun
            publisher.publish(entry.packet, previous: entry.stored) { [self] receipt in
                underWay -= 1
                finish(entry, receipt)
                report(receipt, as: place)
                proceed()
                onChange()
            }
        }
    }

    private func finish(_ entry: Entry, _ receipt: Receipt) {
        let key = entry.packet.publicKey
        if receipt.isStored { entry.stored = entry.packet.timestamp }
        if let next = entry.next {
            entry.next = nil
            entry.packet = next
            entry.state = .waiting
            waiting.append(key)
        } else if let refresh, !receipt.isOvertaken {
            entry.state = .held
            entry.timer = Timer(on: loop) { [unowned self] in enqueue(key) }
            entry.timer?.start(after: receipt.isStored ? refresh : min(refresh, Self.retry))
        } else {
            entries[key] = nil
        }
    }

    private func report(_ receipt: Receipt, as place: Int) {
        early[place] = receipt
        while let next = early.removeValue(forKey: reported + 1) {
            reported += 1
            onReceipt(next)
        }
    }
}
