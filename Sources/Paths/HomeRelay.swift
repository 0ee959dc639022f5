import EventLoop
import HTTPClient
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

    /// `/ping` answers with nothing; some put a word there.
    private static let largestAnswer = 4096

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
        var request = HTTPRequest("GET", probe.url.ping, timeout: probe.timeout, largestBody: Self.largestAnswer)
        // Whatever a portal sends us to is not the relay.
        request.followsRedirects = false
        let start = Instant.now
        transports.http.send(request) { [weak self] answer in
            guard let self, observer != nil else { return }
            let now = Instant.now
            choice.probed(probe, Self.result(of: answer, from: probe.url, after: now - start), now: now)
            act()
        }
    }

    private static func result(
        of answer: Result<HTTPResponse, HTTPFailure>, from url: RelayURL, after time: Duration
    ) -> Result<Duration, HomeRelayChoice.Failure> {
        switch answer {
        case .success(let response) where response.status == 200: return .success(time)
        case .success(let response):
            let failure = RelayLinkFailure.notUpgraded(status: response.status, location: response.header("Location"))
            return .failure(HomeRelayChoice.Failure(url: url, reason: failure.description))
        case .failure(let failure):
            return .failure(HomeRelayChoice.Failure(url: url, reason: RelayLinkFailure.unreachable(failure.description).description))
        }
    }
}

extension RelayURL {
    /// Where a relay says that it is there. As with `/relay`, the path is replaced (spec/iroh-wire.md, 4.1).
    fileprivate var ping: String { "\(description.prefix { $0 != ":" })://\(authority)/ping" }
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
