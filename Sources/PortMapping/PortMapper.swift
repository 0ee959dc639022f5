import Platform

/// Has UDP ports mapped, and keeps them so. Sans-I/O: routers are asked by whoever runs it, and may take their time to answer.
public struct PortMapper {
    /// What routers are asked for, in seconds (RFC 6886, section 3.3, recommends it).
    public static let lifetime: UInt32 = 7200
    /// A router that has restarted gets its services one after the other, and one that can't be heard is busy or away for a moment.
    static let settling: Duration = .seconds(5)
    /// Between attempts while there is no mapping, doubling.
    static let firstRetry: Duration = .seconds(15), rarestRetry: Duration = .seconds(900)

    /// One question to a router.
    public struct Request: Equatable, Sendable {
        public var `protocol`: MappingProtocol
        public var port: UInt16
        /// What to suggest as external address: the one there was, or the port alone with an address of zeros.
        public var suggested: SocketAddress
        /// In seconds; 0 gives back the mapping from the suggested address.
        public var lifetime: UInt32
    }

    public typealias Ask = (Request) -> Result<MappingGrant, MappingRefusal>

    public enum Event: Equatable, Sendable {
        case mapped(PortMapping)
        /// There is no mapping of the port, or none any more.
        case unmapped(port: UInt16, formerly: PortMapping?, reason: String)
        case restarted
    }

    private struct Port {
        var number: UInt16
        var mapping: PortMapping?
        /// Whether the router would not confirm it the last time.
        var isDoubtful = false
        /// By what it was refused the last time.
        var reason: String?
    }

    private var ports: [Port]
    private let protocols: [MappingProtocol]
    private let interval: Duration
    private var epochs: [MappingProtocol: RouterEpoch] = [:]
    private var retry = PortMapper.firstRetry
    /// When ``work(at:now:_:)`` is due.
    public private(set) var deadline: Instant

    /// - Parameters:
    ///   - protocols: Which to try, in this order.
    ///   - interval: Between looks at the mappings there are.
    public init(ports: [UInt16], protocols: [MappingProtocol], interval: Duration, now: Instant) {
        self.ports = ports.map { Port(number: $0) }
        self.protocols = protocols
        self.interval = interval
        deadline = now
    }

    /// The next look is due now.
    public mutating func networkChanged(now: Instant) {
        deadline = now
        retry = Self.firstRetry
    }

    /// Has what is missing mapped and what is there confirmed: a router that has restarted, or has another address, is found out so.
    ///
    /// - Parameter host: Our address towards the router; nil if there is no router.
    public mutating func work(at host: IPAddress?, now: Instant, _ ask: Ask) -> [Event] {
        var events: [Event] = []
        var unspoken: [MappingProtocol: String] = [:]
        var hasRestarted = false, isDoubtful = false
        for index in ports.indices {
            let outcome = host.map { find(ports[index], at: $0, &unspoken, &hasRestarted, now: now, ask) } ?? .failure(MappingRefusal("there is no router"))
            let former = ports[index].mapping
            switch outcome {
            case .success(let mapping):
                ports[index].reason = nil
                ports[index].isDoubtful = false
                // A lifetime that runs down is no news.
                if mapping.external != former?.external || mapping.internal != former?.internal { events.append(.mapped(mapping)) }
                ports[index].mapping = mapping
            case .failure where former != nil && !ports[index].isDoubtful:
                ports[index].isDoubtful = true
                isDoubtful = true
            case .failure(let refusal):
                ports[index].mapping = nil
                guard former != nil || ports[index].reason != refusal.reason else { break }
                ports[index].reason = refusal.reason
                events.append(.unmapped(port: ports[index].number, formerly: former, reason: refusal.reason))
            }
        }
        if hasRestarted { events.insert(.restarted, at: 0) }
        schedule(soon: hasRestarted || isDoubtful, now: now)
        return events
    }

    /// Gives all mappings back.
    public mutating func withdraw(_ ask: Ask) -> [Event] {
        var events: [Event] = []
        for index in ports.indices {
            guard let mapping = ports[index].mapping else { continue }
            ports[index].mapping = nil
            giveBack(mapping, ask)
            events.append(.unmapped(port: ports[index].number, formerly: mapping, reason: "given back"))
        }
        return events
    }

    private mutating func find(
        _ port: Port, at host: IPAddress, _ unspoken: inout [MappingProtocol: String], _ hasRestarted: inout Bool, now: Instant, _ ask: Ask
    ) -> Result<PortMapping, MappingRefusal> {
        guard host.scope != .global else { return .failure(MappingRefusal("\(host) is a public address already")) }
        let known = port.mapping.map { [$0.protocol] } ?? []
        var reasons: [String] = []
        for candidate in known + protocols.filter({ !known.contains($0) }) {
            if let reason = unspoken[candidate] {
                reasons.append("\(candidate): \(reason)")
                continue
            }
            let suggested = port.mapping?.external ?? SocketAddress(ip: .v4(0), port: port.number)
            switch ask(Request(protocol: candidate, port: port.number, suggested: suggested, lifetime: Self.lifetime)) {
            case .success(let grant):
                if let epoch = grant.epoch, epochs[candidate, default: RouterEpoch()].note(epoch, now: now) { hasRestarted = true }
                let mapping = PortMapping(
                    from: grant.external, to: SocketAddress(ip: host, port: port.number), by: candidate, lifetime: grant.lifetime)
                guard grant.external.ip.scope == .global, grant.external.port != 0 else {
                    giveBack(mapping, ask)
                    return .failure(MappingRefusal("the router is behind another NAT itself: its address is \(grant.external.ip)"))
                }
                return .success(mapping)
            case .failure(let refusal):
                if refusal.isUnspoken { unspoken[candidate] = refusal.reason }
                reasons.append("\(candidate): \(refusal.reason)")
            }
        }
        return .failure(MappingRefusal(reasons.joined(separator: "; ")))
    }

    private func giveBack(_ mapping: PortMapping, _ ask: Ask) {
        // Whatever comes of it, it ends by itself.
        _ = ask(Request(protocol: mapping.protocol, port: mapping.internal.port, suggested: mapping.external, lifetime: 0))
    }

    private mutating func schedule(soon: Bool, now: Instant) {
        guard ports.contains(where: { $0.mapping != nil }) else {
            deadline = now + retry
            retry = min(retry * 2, Self.rarestRetry)
            return
        }
        retry = Self.firstRetry
        if soon { return deadline = now + Self.settling }
        // At half the lifetime (RFC 6886, section 3.3; RFC 6887, section 11.2.1) or earlier.
        let lifetimes = ports.compactMap { $0.mapping?.lifetime }.filter { $0 > 0 }
        let half = lifetimes.min().map { Duration.seconds(Int64($0)) / 2 } ?? interval
        deadline = now + max(.seconds(1), min(interval, half))
    }
}
