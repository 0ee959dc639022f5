import EventLoop
import HolePunching
import Iroh
import IrohRelayClient
import JSON
import Paths
import Platform

/// What is to be seen of the network around this machine: addresses, UDP, NAT and relays.
final class NetworkCheck {
    /// For the names of STUN servers, and for their answers after that: all tries that STUN has.
    private static let namePatience: Duration = .milliseconds(500), patience: Duration = .seconds(2)

    private(set) var v4 = Facts.Family(), v6 = Facts.Family()
    var relays: [Facts.Relay] { checks.compactMap(\.outcome) }
    /// Whether everything has been reported.
    var isDone: Bool { told.count == 2 && checks.allSatisfy { $0.outcome != nil } }
    private let driver: EndpointDriver
    private let loop: EventLoop
    private let stunServers: [HostAndPort]
    private let report: (Finding) -> Void
    private let onProgress: () -> Void
    private var checks: [RelayCheck] = []
    private var shown: Set<Candidate> = []
    /// The families, IPv6 being true, of which UDP has been reported, and of which all has.
    private var heard: Set<Bool> = [], told: Set<Bool> = []
    private var timer: Timer!, nameTimer: Timer!
    private var asked = Instant.now

    /// - Parameters:
    ///   - stunServers: Asked instead of the relays.
    ///   - expectsRelays: Whether ``add(_:)`` will be called.
    ///   - onProgress: Called when ``isDone`` may have changed.
    init(
        over driver: EndpointDriver, relays: [RelayURL], stunServers: [HostAndPort], expectsRelays: Bool, on loop: EventLoop,
        report: @escaping (Finding) -> Void, onProgress: @escaping () -> Void
    ) {
        self.driver = driver
        self.loop = loop
        self.stunServers = stunServers
        self.report = report
        self.onProgress = onProgress
        timer = Timer(on: loop) { [unowned self] in settle() }
        nameTimer = Timer(on: loop) { [unowned self] in settleMissing() }
        _ = driver.candidates.observe { [unowned self] in look() }
        _ = driver.candidates.observeMapping { [unowned self] in look() }
        take(relays)
        if hasServers { ask() } else if !expectsRelays { timer.start(after: .zero) }
        look()
    }

    /// Takes the relays that the peer's packet names; none if there is none.
    func add(_ relays: [RelayURL]) {
        let isNews = take(relays)
        if isNews, stunServers.isEmpty {
            // What was told of families in which nobody had answered is told anew.
            for isV6 in [false, true] where !family(isV6).isAnswered {
                heard.remove(isV6)
                told.remove(isV6)
            }
            ask()
        } else if !hasServers {
            settle()
        }
    }

    /// Returns whether one of them was not known.
    @discardableResult
    private func take(_ relays: [RelayURL]) -> Bool {
        let fresh = relays.filter { url in !checks.contains { $0.url == url } }
        checks += fresh.map { RelayCheck($0, over: driver, on: loop, report: report, onProgress: onProgress) }
        return !fresh.isEmpty
    }

    private func ask() {
        asked = .now
        driver.ask(stunServers.isEmpty ? checks.map(\.url.stunServer) : stunServers)
        nameTimer.start(after: Self.namePatience)
        timer.start(after: Self.namePatience + Self.patience)
    }

    private var hasServers: Bool { !stunServers.isEmpty || !checks.isEmpty }

    /// Tells what is known.
    func end() {
        for check in checks { check.end() }
        settle()
    }

    private func family(_ isV6: Bool) -> Facts.Family { isV6 ? v6 : v4 }

    private func update(_ isV6: Bool, isOver: Bool) -> Facts.Family {
        let candidates = driver.candidates
        var family = Facts.Family()
        family.hasAddress = !candidates.network.usefulAddresses(v6: isV6).isEmpty
        family.mapping = candidates.mapping(v6: isV6)
        family.isAnswered = family.mapping != .unknown || candidates.all.contains { $0.source == .reflexive && $0.address.ip.isV6 == isV6 }
        family.isAsked = family.isAnswered || isOver && candidates.isAsked(v6: isV6)
        if isV6 { v6 = family } else { v4 = family }
        return family
    }

    private func look() {
        for candidate in driver.candidates.all where shown.insert(candidate).inserted { tell(candidate) }
        for isV6 in [false, true] where !told.contains(isV6) {
            let family = update(isV6, isOver: false)
            if family.isAnswered, heard.insert(isV6).inserted { tell(udp: family, isV6, after: .now - asked) }
            if family.mapping != .unknown { tell(nat: family, isV6) }
        }
    }

    /// Tells of families that are not here; only a server on this machine could have answered, at once.
    private func settleMissing() {
        for isV6 in [false, true] where !told.contains(isV6) {
            if !update(isV6, isOver: false).hasAddress { settle(isV6) }
        }
    }

    /// Time is over: tells what has not been told.
    private func settle() {
        for isV6 in [false, true] where !told.contains(isV6) { settle(isV6) }
    }

    private func settle(_ isV6: Bool) {
        let family = update(isV6, isOver: true)
        if heard.insert(isV6).inserted { tell(udp: family, isV6, after: .now - asked) }
        tell(nat: family, isV6)
    }

    private func tell(_ candidate: Candidate) {
        let isPublished = driver.candidates.published.contains(candidate.address)
        report(Finding(
            .address, true,
            [("address", .string("\(candidate.address)")), ("source", .string("\(candidate.source)")), ("published", .bool(isPublished))],
            "\(candidate.address), \(candidate.source.words), for \(isPublished ? "everybody" : "connected peers") to know"))
    }

    private func tell(udp family: Facts.Family, _ isV6: Bool, after time: Duration) {
        let isGood: Bool? = family.isAnswered ? true : family.isAsked && family.hasAddress ? false : nil
        let reason = family.isAnswered ? nil : !family.hasAddress ? "no address of this family here"
            : family.isAsked ? "no STUN server answers" : "no STUN server to ask"
        report(Finding(
            .udp, isGood, after: isGood == nil ? nil : time, [("family", .string(isV6.familyWord)), ("reason", .text(reason))],
            "\(isV6.familyName): \(reason ?? "UDP gets out, and answers come back")"))
    }

    private func tell(nat family: Facts.Family, _ isV6: Bool) {
        guard told.insert(isV6).inserted else { return }
        if family.isAnswered {
            let isGood: Bool? = switch family.mapping {
            case .unknown: nil
            case .none, .independent: true
            case .dependent: false
            }
            report(Finding(
                .nat, isGood,
                [("family", .string(isV6.familyWord)), ("mapping", .string(family.mapping.rawValue)),
                 ("meaning", .string(family.mapping.meaning))],
                "\(isV6.familyName): \(family.mapping.meaning)"))
        }
        onProgress()
    }
}

extension Bool {
    fileprivate var familyWord: String { self ? "ipv6" : "ipv4" }
    fileprivate var familyName: String { self ? "IPv6" : "IPv4" }
}

extension Candidate.Source {
    fileprivate var words: String {
        switch self {
        case .host: "of an interface"
        case .reflexive: "seen by a STUN server"
        case .mapped: "mapped by a router"
        case .configured: "configured"
        }
    }
}

extension AddressMapping {
    /// What it says of hole punching (keyhole-paths(7)).
    fileprivate var meaning: String {
        switch self {
        case .unknown: "a NAT, of which one STUN server does not tell the kind: give two with --stun"
        case .none: "no NAT; where a firewall lets in only answers, holes are punched with all peers but those behind a symmetric NAT"
        case .independent: "a NAT with one public port for all peers: holes are punched with all but those behind a symmetric NAT"
        case .dependent: "a NAT with another public port for each peer (symmetric): direct only with peers that let everybody send to them"
        }
    }
}
