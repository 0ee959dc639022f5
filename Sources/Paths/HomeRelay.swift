import EventLoop
import Iroh
import IrohRelayClient
import Platform

/// Keeps an endpoint reachable through the relay that ``HomeRelayChoice`` chooses.
public final class HomeRelay {
    /// What a person, or whoever is told where we can be reached, wants to know.
    public enum Event {
        /// Another relay, or none, is to be announced. The latency is that of `/ping`.
        case moved(from: RelayURL?, to: RelayURL?, latency: Duration?)
        case lost(RelayURL, reason: String)
        case found(RelayURL)
        /// The reason is a sentence of which the relay is the subject.
        case refused(RelayURL, reason: String)
        /// None that might be the home relay can be reached.
        case noAnswer([HomeRelayChoice.Failure])
        /// Another endpoint with our key is connected to the home relay, and gets what is sent to it.
        case superseded(RelayURL)
        /// Each relay refuses us, and none has ever taken us.
        case refusedByAll([HomeRelayChoice.Failure])
    }

    /// The relay to announce; nil when there is none.
    public var url: RelayURL? { choice.home }

    private let transports: RelayTransports
    private let handler: (Event) -> Void
    private var choice: HomeRelayChoice
    private var timer: Timer!
    private var observer: Int?

    /// Starts asking the relays.
    ///
    /// - Parameter handler: Called from the loop, never from within a call of this object.
    public init(_ relays: [RelayURL], over transports: RelayTransports, on loop: EventLoop, handler: @escaping (Event) -> Void) {
        self.transports = transports
        self.handler = handler
        choice = HomeRelayChoice(relays, now: .now, chance: { .random(in: 0...1) })
        timer = Timer(on: loop) { [unowned self] in
            choice.handleDeadline(now: .now)
            act()
        }
        observer = transports.observe { [unowned self] url, event in
            switch event {
            case .changed(let state):
                choice.linkChanged(url, state.link, now: .now)
                act()
            case .superseded(true) where url == choice.home: handler(.superseded(url))
            case .gone, .superseded: break
            }
        }
        timer.start(after: .zero)
    }

    /// Takes another list of relays. Connections go on whatever is on it.
    public func setRelays(_ relays: [RelayURL]) {
        choice.setRelays(relays, now: .now)
        timer.start(after: .zero)
    }

    /// Does nothing more. The connections to relays are the transports' to close.
    public func close() {
        if let observer { transports.stopObserving(observer) }
        observer = nil
        timer.stop()
    }

    private func act() {
        guard observer != nil else { return }
        while let event = choice.nextEvent() {
            switch event {
            case .probe(let probe): ask(probe)
            case .connect(let url):
                transports.pin(url, for: self)
                choice.linkChanged(url, transports.link(to: url).state.link, now: .now)
            case .release(let url): transports.unpin(url, for: self)
            case .moved(let former, let url): handler(.moved(from: former, to: url, latency: url.flatMap { choice.latency(of: $0) }))
            case .lost(let url, let reason): handler(.lost(url, reason: reason))
            case .found(let url): handler(.found(url))
            case .refused(let url, let reason): handler(.refused(url, reason: reason))
            case .noAnswer(let failures): handler(.noAnswer(failures))
            case .refusedByAll(let failures): handler(.refusedByAll(failures))
            }
            // A handler may have closed us.
            if observer == nil { return }
        }
        if let deadline = choice.deadline { timer.start(after: max(.zero, deadline - .now)) } else { timer.stop() }
    }

    private func ask(_ probe: HomeRelayChoice.Probe) {
        transports.ping(probe.url, timeout: probe.timeout) { [weak self] answer in
            guard let self, observer != nil else { return }
            choice.probed(probe, answer.mapError { HomeRelayChoice.Failure(url: probe.url, reason: $0.description) }, now: .now)
            act()
        }
    }
}

extension RelayLink.State {
    fileprivate var link: HomeRelayChoice.Link {
        switch self {
        case .connecting: .connecting
        case .connected: .connected
        case .waiting(.restarting): .restarting
        case .waiting(let failure): .down(reason: failure.description)
        case .refused(let reason): .refused(reason: RelayLinkFailure.refused(reason).description)
        }
    }
}
