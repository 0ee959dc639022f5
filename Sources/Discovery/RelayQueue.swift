import EventLoop
import Pkarr
import Platform

/// Puts packets to one relay, a few at a time, so that a relay that is slow or down holds up nobody but itself.
///
/// A packet for which there is no room, or whose relay gives no answer any more, is not asked about at all: its outcome says so at once.
final class RelayQueue {
    /// Requests under way. A relay takes one or two a second from an address (spec/pkarr-wire.md, 2.3), each for as long as its own put
    /// on the DHT takes, some seconds at most. As many connections are made at most; with HTTP/2 they share one.
    static let mostUnderWay = 8
    /// Packets that wait: what a relay takes in about a quarter of a minute.
    static let mostWaiting = 32
    /// A relay that says 429 without saying for how long: its quota is refilled within a second.
    static let pause: Duration = .seconds(1)
    /// What a relay may ask for at most. One that wants to be left alone for longer is asked again all the same.
    static let longestPause: Duration = .seconds(300)

    typealias Completion = (RelayClient.Publication) -> Void

    let relay: RelayClient
    private let loop: EventLoop
    private let onRoom: () -> Void
    private var pace = SourcePace(mostUnderWay: mostUnderWay)
    private var waiting = FIFO<(packet: SignedPacket, basis: PublicationBasis?, isCareful: Bool, completion: Completion)>()
    private var timer: Timer?
    /// Why there was no answer the last time.
    private var lastError = ""

    /// - Parameter onRoom: Called when ``hasRoom`` may have become true.
    init(_ relay: RelayClient, on loop: EventLoop, onRoom: @escaping () -> Void) {
        self.relay = relay
        self.loop = loop
        self.onRoom = onRoom
        timer = Timer(on: loop) { [unowned self] in
            proceed()
            onRoom()
        }
    }

    /// Whether the next packet would be sent, sooner or later.
    var hasRoom: Bool {
        switch pace.state(now: .now) {
        case .ready: true
        case .busy: !pace.isGone && waiting.count < Self.mostWaiting
        case .resting: waiting.count < Self.mostWaiting
        case .gone: false
        }
    }

    /// Puts a packet when its turn comes.
    ///
    /// - Parameter completion: Called once, never from within this call.
    func put(_ packet: SignedPacket, replacing basis: PublicationBasis?, isCareful: Bool = false, completion: @escaping Completion) {
        guard hasRoom else {
            let reason = pace.isGone ? "gives no answer (\(lastError))" : "has enough waiting for it"
            Timer.once(on: loop, after: .zero) { completion(RelayClient.Publication(outcome: .notAsked, error: reason)) }
            return
        }
        waiting.append((packet, basis, isCareful, completion))
        proceed()
    }

    private func proceed() {
        while !waiting.isEmpty {
            switch pace.state(now: .now) {
            case .ready: break
            case .busy: return
            case .resting(let moment): return schedule(moment)
            case .gone:
                // Who waits for a relay that has gone meanwhile need not wait for it to come back.
                return giveUpWaiting()
            }
            let next = waiting.removeFirst()
            pace.begin()
            relay.put(next.packet, replacing: next.basis, isCareful: next.isCareful) { [self] publication in
                finish(publication)
                next.completion(publication)
                onRoom()
            }
        }
    }

    private func finish(_ publication: RelayClient.Publication) {
        let ending: SourcePace.Ending
        if publication.outcome == .unreachable {
            ending = .noAnswer
            lastError = publication.error ?? ""
        } else if let pause = publication.retryAfter ?? (publication.outcome == .rateLimited ? Self.pause : nil) {
            ending = .askedForPause(min(pause, Self.longestPause))
        } else {
            ending = .answered
        }
        pace.end(ending, now: .now, chance: .random(in: 0...1))
        if case .gone(let moment) = pace.state(now: .now) { schedule(moment) }
        proceed()
    }

    private func giveUpWaiting() {
        let abandoned = waiting
        waiting = FIFO()
        for next in abandoned {
            next.completion(RelayClient.Publication(outcome: .notAsked, error: "gives no answer (\(lastError))"))
        }
    }

    private func schedule(_ moment: Instant) { timer?.start(after: moment - .now) }
}
