import Crypto
import Discovery
import EventLoop
import JSON
import Pkarr
import Platform

/// Looks for a key's packet in each source by itself, all at once.
final class SourceCheck {
    /// How long the others have once one has shown a packet.
    private static let patience: Duration = .seconds(3)
    private static let dht = "dht"

    private(set) var packet: SignedPacket?
    private(set) var answered = 0
    private(set) var isDHTAnswered = false
    private(set) var silent = 0
    private(set) var pending = 0
    private let key: PublicKey
    /// A key that nobody has, only to see who answers.
    private let isTrial: Bool
    private let report: (Finding) -> Void
    private let completion: () -> Void
    private var waiting: [String: Search] = [:]
    private var timer: Timer!
    private let started = Instant.now
    private var isOver = false

    /// - Parameters:
    ///   - key: Nil for one that nobody has.
    ///   - completion: Called once, never from within this call, when each source has been reported.
    init(_ key: PublicKey?, in sources: Sources, on loop: EventLoop, report: @escaping (Finding) -> Void, completion: @escaping () -> Void) {
        self.key = key ?? SecretKey.generate().publicKey
        isTrial = key == nil
        self.report = report
        self.completion = completion
        timer = Timer(on: loop) { [unowned self] in end() }
        if let dht = sources.dht { look(in: Sources(dht: dht, relays: []), called: Self.dht) }
        for relay in sources.relays { look(in: Sources(dht: nil, relays: [relay]), called: relay.url.description) }
    }

    private func look(in source: Sources, called name: String) {
        waiting[name] = Resolver(source).resolve(key) { [weak self] event in self?.take(event, from: name) }
    }

    /// Gives up on those that have not answered.
    func end() {
        guard !isOver else { return }
        for (name, search) in waiting {
            search.cancel()
            pending += 1
            tell(name, isGood: nil, nil, reason: "no answer yet")
        }
        waiting = [:]
        isOver = true
        timer.stop()
        completion()
    }

    private func take(_ event: Resolver.Event, from name: String) {
        switch event {
        case .packet(let found):
            if packet.map({ found.isMoreRecent(than: $0) }) ?? true { packet = found }
            // A source may go on to look for something newer, which is not waited for.
            guard let search = waiting.removeValue(forKey: name) else { return }
            search.cancel()
            note(name)
            tell(name, isGood: true, found, reason: nil)
            timer.start(after: Self.patience)
        case .finished(let resolution):
            guard waiting.removeValue(forKey: name) != nil else { return }
            if resolution.answered > 0 {
                note(name)
                let lack = resolution.invalidSequence == nil ? "no packet of this key" : "an item that is no packet"
                tell(name, isGood: isTrial, nil, reason: isTrial ? nil : lack)
            } else {
                silent += 1
                tell(name, isGood: false, nil, reason: resolution.failures.first?.reason ?? "no answer")
            }
        }
        if waiting.isEmpty { end() }
    }

    private func note(_ name: String) {
        answered += 1
        if name == Self.dht { isDHTAnswered = true }
    }

    private func tell(_ name: String, isGood: Bool?, _ packet: SignedPacket?, reason: String?) {
        let shown = name == Self.dht ? "the DHT" : name
        var details: [(name: String, value: JSONValue)] = [("source", .string(name))]
        if !isTrial { details.append(("found", .bool(packet != nil))) }
        if let packet { details += packet.details }
        details.append(("reason", .text(reason)))
        let words = reason ?? (packet.map { "has a packet, \($0.age)" } ?? "answers")
        report(Finding(.source, isGood, after: .now - started, details, "\(shown): \(words)"))
    }
}

extension SignedPacket {
    /// As in the objects of an audit.
    var details: [(name: String, value: JSONValue)] {
        [("timestamp", .integer(Int64(timestamp))), ("age_s", .integer(ageInSeconds))]
    }

    var age: String { ageInSeconds < 0 ? "signed \(-ageInSeconds) s in the future" : "\(brief(microseconds: UInt64(ageInSeconds) * 1_000_000)) old" }

    private var ageInSeconds: Int64 { (Int64(WallClock.microseconds) - Int64(timestamp)) / 1_000_000 }
}
