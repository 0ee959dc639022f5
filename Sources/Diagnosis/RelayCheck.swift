import EventLoop
import Iroh
import IrohRelayClient
import JSON
import Paths
import Platform

/// Whether an iroh relay is there, how far away it is, and whether it takes us.
final class RelayCheck {
    /// More than a connection that a relay can be used over takes.
    private static let patience: Duration = .seconds(5)

    let url: RelayURL
    private(set) var outcome: Facts.Relay?
    private let driver: EndpointDriver
    private let report: (Finding) -> Void
    private let onProgress: () -> Void
    private var timer: Timer!
    private var observer: Int!
    private let started = Instant.now
    /// The shortest answer to `/ping`: the first pays for look-up, TCP and TLS.
    private var latency: Duration?
    private var pings = 0
    private var failure: String?
    private var connected: Duration?
    private var refusal: String?

    init(_ url: RelayURL, over driver: EndpointDriver, on loop: EventLoop, report: @escaping (Finding) -> Void, onProgress: @escaping () -> Void) {
        self.url = url
        self.driver = driver
        self.report = report
        self.onProgress = onProgress
        timer = Timer(on: loop) { [unowned self] in end() }
        timer.start(after: Self.patience)
        observer = driver.relays.observe { [unowned self] other, event in
            if other == url, case .changed(let state) = event { take(state) }
        }
        take(driver.relays.link(to: url).state)
        ping()
    }

    private func ping() {
        driver.relays.ping(url, timeout: Self.patience) { [weak self] answer in
            guard let self, outcome == nil else { return }
            pings += 1
            switch answer {
            case .success(let time): latency = min(time, latency ?? time)
            case .failure(let reason): failure = reason.description
            }
            if pings == 1, latency != nil { ping() } else { tellIfKnown() }
        }
    }

    private func take(_ state: RelayLink.State) {
        guard outcome == nil else { return }
        switch state {
        case .connecting: return
        case .connected: connected = .now - started
        case .waiting(let reason): failure = reason.description
        case .refused(let reason): refusal = RelayLinkFailure.refused(reason).description
        }
        tellIfKnown()
    }

    private func tellIfKnown() {
        let isAnswered = latency != nil && pings > 1 || pings > 0 && failure != nil
        if isAnswered, connected != nil || refusal != nil || failure != nil { end() }
    }

    /// Tells what is known.
    func end() {
        guard outcome == nil else { return }
        timer.stop()
        driver.relays.stopObserving(observer)
        let fault = refusal ?? (connected == nil ? failure ?? "no answer" : nil)
        outcome = refusal != nil ? .refused : connected == nil ? .unreachable : .usable
        let pinged = latency.map { "answers a ping in \(brief($0))" } ?? "answers no ping"
        report(Finding(
            .relay, connected != nil, after: connected ?? .now - started,
            [("relay", .string("\(url)")), ("ping_ms", .milliseconds(latency)), ("reason", .text(fault))],
            "\(url) \(fault ?? pinged + ", and takes us")"))
        onProgress()
    }
}
