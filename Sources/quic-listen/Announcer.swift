import Crypto
import EventLoop
import Iroh
import Metrics
import Paths
import Platform
import Toolkit

/// Prints where the endpoint can be reached, as an endpoint line each time that changes.
final class Announcer {
    /// How long the first line waits for a relay. A nearby one is connected within a tenth of it; addresses alone are of use too.
    private static let patience: Duration = .seconds(3)

    /// Addresses that change are announced when they have not for this long: a router's are mapped one after the other, and an uplink that
    /// comes and goes would have whoever publishes them do so each time.
    private static let settlingTime: Duration = .seconds(1)

    /// Why the command has to end; ``Service/finish(_:)`` has been called then.
    private(set) var failure: (any Error)?

    private var endpoint: EndpointAddress
    private let driver: EndpointDriver
    private let service: Service
    private let log: Log
    private var relays: [RelayURL]
    private var home: HomeRelay?
    private var waiting: Timer?
    private var settling: Timer!
    private var isAnnounced = false
    private var announcements = 0
    private var announcedAt = Instant.now
    private var isReloaded = false
    private var isSuperseded = false

    init(_ key: PublicKey, relays: [RelayURL], over driver: EndpointDriver, service: Service, log: Log) {
        endpoint = EndpointAddress(id: key, addresses: driver.candidates.published)
        self.relays = relays
        self.driver = driver
        self.service = service
        self.log = log
        settling = Timer(on: service.loop) { [unowned self] in takeAddresses() }
        _ = driver.candidates.observe { [unowned self] in
            settling.start(after: Self.settlingTime)
            log.debug(candidates)
        }
        _ = driver.candidates.observeMapping { [unowned self] in log.debug(candidates) }
    }

    /// Who is asked for our address instead of the relays.
    var stunServers: [HostAndPort] = []

    /// Prints the first line, now or when a relay is connected.
    func start() throws {
        askForAddresses()
        guard relays.isEmpty else { return look(for: relays) }
        warnOfNothing()
        try printLine()
    }

    /// Reads the list of relays again. What is wrong with it is said, and changes nothing.
    func setRelays(_ read: () throws(CommandError) -> [RelayURL]) {
        do throws(CommandError) { relays = try read() } catch {
            return log.error("\(error.message); the relays stay as they were", hint: error.hint)
        }
        isReloaded = true
        askForAddresses()
        log.notice("the list of relays has been read again; it has \(relays.count)")
        if let home { home.setRelays(relays) } else if !relays.isEmpty { look(for: relays) }
    }

    private func look(for relays: [RelayURL]) {
        home = HomeRelay(relays, over: driver.relays, on: service.loop) { [unowned self] in take($0) }
        // A reloaded list has its first line behind it.
        guard !isReloaded else { return }
        waiting = Timer(on: service.loop) { [unowned self] in
            waiting = nil
            log.warning("no relay is connected after \(Self.patience.components.seconds) s; for now only addresses are announced")
            warnOfNothing()
            announce()
        }
        waiting?.start(after: Self.patience)
    }

    private func askForAddresses() { driver.ask(stunServers.isEmpty ? relays.map(\.stunServer) : stunServers) }

    /// What is known of where we may be reached, for a person who wonders.
    private var candidates: String {
        let list = driver.candidates.all.map { "\($0.address) \($0.source)" }.joined(separator: ", ")
        return "candidates: \(list); mapping \(driver.candidates.mapping(v6: false)), IPv6 \(driver.candidates.mapping(v6: true))"
    }

    private func takeAddresses() {
        let addresses = driver.candidates.published
        // The first line, when its time has come, has those that are known then.
        guard failure == nil, isAnnounced, addresses != endpoint.addresses else { return }
        let list = addresses.map(\.description).joined(separator: ", ")
        log.notice(addresses.isEmpty ? "no address is left to announce" : "the addresses to announce are now \(list)")
        announce()
    }

    private func take(_ event: HomeRelay.Event) {
        switch event {
        case .moved(let former, let url, let latency):
            endpoint.relayURLs = url.map { [$0] } ?? []
            let time = latency.map { " (\(Int($0.milliseconds.rounded())) ms)" } ?? ""
            switch (former, url) {
            case (let former?, let url?): log.warning("the home relay is now \(url)\(time), no longer \(former)")
            case (nil, let url?): log.notice("the home relay is \(url)\(time)")
            case (let former?, nil): log.warning("\(former) is no longer the home relay, and no other takes its place")
            case (nil, nil): break
            }
            waiting = nil
            announce()
        case .lost(let url, let reason): log.warning("no connection to the home relay \(url), which is tried again: \(reason)")
        case .found(let url): log.notice("the home relay \(url) is connected again")
        case .refused(let url, let reason): log.warning("relay \(url) \(reason)", hint: Self.admission)
        case .noAnswer(let failures):
            let other = home?.url == nil ? "" : "other "
            log.warning("no \(other)relay can be reached, all are tried again: \(list(failures))")
        case .refusedByAll(let failures): refuse(failures)
        case .superseded(let url):
            // Once: a relay could say it all day.
            guard !isSuperseded else { return }
            isSuperseded = true
            log.warning("another endpoint with this key has connected to \(url), and gets what is sent to it",
                        hint: "a key is for one endpoint: end the other, or give it a key of its own")
        }
    }

    /// Without a relay that takes us there is no sense in going on: starting again does not help either. With a list that was changed while
    /// all else works, there is.
    private func refuse(_ failures: [HomeRelayChoice.Failure]) {
        let message = failures.count == 1
            ? "relay \(failures[0].url) \(failures[0].reason)" : "no relay takes us: \(list(failures))"
        if isReloaded { log.error(message, hint: Self.admission) } else { end(CommandError(.permission, message, hint: Self.admission)) }
    }

    private static let admission = "the relay's operator admits a key (the endpoint_id), or gives out a token for --relay-token"

    private func list(_ failures: [HomeRelayChoice.Failure]) -> String {
        failures.map { "\($0.url): \($0.reason)" }.joined(separator: "; ")
    }

    private func warnOfNothing() {
        guard driver.candidates.published.isEmpty else { return }
        log.warning("no address to announce", hint: "give --address for a forwarded port, --lan for the local network, or a --relay")
    }

    /// What is announced and since when, for the status line.
    var status: String {
        let relay = home?.url.map { "home relay \($0) \(driver.relays.isConnected($0) ? "connected" : "not connected")" } ?? "no home relay"
        guard isAnnounced else { return "\(relay), nothing announced yet" }
        let age = (Instant.now - announcedAt).components.seconds
        return "\(relay), announced \(age) s ago with \(endpoint.addresses.count) addresses"
    }

    func write(to metrics: inout Metrics) {
        let isConnected = home?.url.map { driver.relays.isConnected($0) } ?? false
        metrics.add("home_relay_connected", .gauge, "Whether there is a connection to the home relay.", isConnected ? 1 : 0)
        metrics.add("announced_addresses", .gauge, "Addresses in the latest endpoint line.", isAnnounced ? endpoint.addresses.count : 0)
        metrics.add("announcements_total", .counter, "Endpoint lines printed.", announcements)
    }

    private func announce() { do { try printLine() } catch { end(error) } }

    private func printLine() throws {
        isAnnounced = true
        announcements += 1
        announcedAt = .now
        endpoint.addresses = driver.candidates.published
        driver.endpoint.expectsCopies = !endpoint.addresses.isEmpty
        try StandardOutput.write(.object(endpoint.json))
        let places = endpoint.relayURLs.map(\.description) + endpoint.addresses.map(\.description)
        ServiceManager.tellReady(status: "\(endpoint.id) at \(places.isEmpty ? "no address" : places.joined(separator: ", "))")
    }

    private func end(_ error: any Error) {
        failure = error
        home?.close()
        waiting = nil
        settling.stop()
        service.finish(.done)
    }
}
