import EventLoop
import Mainline
import Pkarr

/// Takes one ``PublicationCourse`` with a DHT node and relays.
final class CarefulPublication {
    private let publisher: Publisher
    private let completion: (Receipt) -> Void
    private var course: PublicationCourse
    private var put: PutOutcome?
    private var publications: [RelayClient.Publication]
    private var pending = 0

    init(
        _ packet: SignedPacket, onto basis: PublicationBasis, by publisher: Publisher, completion: @escaping (Receipt) -> Void
    ) {
        self.publisher = publisher
        self.completion = completion
        course = PublicationCourse(packet, onto: basis, usesDHT: publisher.dht != nil, hasRelays: !publisher.relays.isEmpty)
        let withheld = RelayClient.Publication(outcome: .notAsked, error: "something else is published, or nothing could be")
        publications = publisher.relays.map { _ in withheld }
    }

    /// Does the next step. The callbacks keep this object until the end.
    func proceed() {
        switch course.step {
        case .putOnDHT: putOnDHT()
        case .readDHT: readDHT()
        case .askRelays, .readRelays: askRelays()
        case .putToRelays: putToRelays()
        case .end: completion(receipt)
        }
    }

    private var receipt: Receipt {
        let answers = zip(publisher.relays, publications).map { Receipt.Relay(url: $0.relay.url, publication: $1) }
        var receipt = Receipt(packet: course.packet, dht: put, relays: answers)
        receipt.note(unmerged: course.unmerged, holders: course.holders)
        return receipt
    }

    private func endStep() {
        pending -= 1
        guard pending <= 0 else { return }
        course.proceed()
        proceed()
    }

    private func putOnDHT() {
        pending = 1
        publisher.put(course.packet, onto: course.basis.forPut, on: publisher.dht!) { [self] outcome in
            put = outcome
            course.note(outcome)
            endStep()
        }
    }

    private func readDHT() {
        pending = 1
        publisher.dht!.get(course.packet.publicKey, moreRecentThan: course.basis.floor(of: course.packet)) { [self] item, _ in
            if let packet = try? SignedPacket(item) { course.note(packet) }
        } completion: { [self] outcome in
            if outcome.hasAnswers { course.noteAnswer() }
            endStep()
        }
    }

    private func askRelays() {
        pending = publisher.relays.count
        for queue in publisher.relays {
            _ = queue.relay.get(course.packet.publicKey) { [self] answer in
                switch answer.holding {
                case .packet(let packet):
                    course.noteAnswer()
                    course.note(packet)
                case .nothing: course.noteAnswer()
                case .unusable: break
                }
                endStep()
            }
        }
    }

    /// One after the other: while a relay puts a packet it refuses every other of the key, and a homeserver that starts in that moment must
    /// find most places open, for else it does not start (spec/pkarr-wire.md, 2.4 and 4.1).
    private func putToRelays(from index: Int = 0) {
        guard index < publisher.relays.count else {
            course.proceed()
            return proceed()
        }
        publisher.relays[index].put(course.packet, replacing: course.basis, isCareful: true) { [self] publication in
            publications[index] = publication
            if let other = publication.newer ?? publication.had { course.note(other) }
            putToRelays(from: index + 1)
        }
    }
}
