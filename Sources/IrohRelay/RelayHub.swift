import Crypto
import Iroh
import Platform
import WebSocket

/// What happened, for a log.
public enum RelayEvent: Equatable, Sendable {
    case connected(EndpointID, IPAddress, RelayFrame.Version)
    case gone(EndpointID, IPAddress, RelaySession.Ending)
    case denied(EndpointID, IPAddress, reason: String)
    /// No room for a connection: nil when all is taken, else the address that has its share.
    case refused(IPAddress?)
}

/// An iroh relay without sockets and without a clock (spec/iroh-wire.md, 4): who is connected, and who gets what.
public final class RelayHub {
    public let settings: RelaySettings
    /// Who may connect. After a change, ``enforceAccess(now:)`` ends what may no more.
    public var access: RelayAccess
    public internal(set) var counters = RelayCounters()
    public var onEvent: ((RelayEvent) -> Void)?
    let buffers = SendBufferPool()
    /// Bytes that wait for all clients.
    var queuedBytes = 0
    private var endpoints: [EndpointID: RelayEndpoint] = [:]
    private var sessions: [RelaySession] = []
    private var perAddress: [IPAddress: Int] = [:]
    private var totalRate: ByteRate?
    private var paused: [(session: RelaySession, until: Instant)] = []

    public init(_ settings: RelaySettings = RelaySettings(), access: RelayAccess = RelayAccess()) {
        self.settings = settings
        self.access = access
        totalRate = settings.totalRate.map { ByteRate(bytesPerSecond: $0) }
    }

    /// Connections of any kind.
    public var connections: Int { sessions.count }
    /// Ids that are connected.
    public var clients: Int { endpoints.count }
    /// When the next paused client may go on.
    public var earliestResume: Instant? { paused.min { $0.until < $1.until }?.until }

    /// Whether so many bytes may wait for a client for which others wait already.
    func allows(_ count: Int, after waiting: Int) -> Bool {
        if waiting == 0 { return queuedBytes + count <= settings.totalQueuedBytes / 2 * 3 }
        return waiting + count <= min(RelaySettings.queuedBytes, (settings.totalQueuedBytes - queuedBytes) / RelaySettings.share)
    }

    /// Takes a connection; nil when there is no room for it.
    public func open(_ transport: RelayTransport, from address: IPAddress, isSecure: Bool, now: Instant) -> RelaySession? {
        counters.connections += 1
        guard sessions.count < settings.connections else {
            counters.refused += 1
            onEvent?(.refused(nil))
            return nil
        }
        let address = address.unmapped
        let isLimited = !settings.isExempt(address) && !settings.isProxy(address)
        guard !isLimited || count(address) else { return nil }
        let session = RelaySession(
            hub: self, transport: transport, address: address, isCounted: isLimited, isSecure: isSecure, now: now)
        session.rate = settings.clientRate.map { ByteRate(bytesPerSecond: $0) }
        session.index = sessions.count
        sessions.append(session)
        return session
    }

    /// Counts a connection for its address; false when that has its share already.
    func count(_ address: IPAddress) -> Bool {
        let network = address.masked(to: address.isV6 ? 64 : 32)
        guard perAddress[network, default: 0] < settings.connectionsPerAddress else {
            counters.refused += 1
            onEvent?(.refused(address))
            return false
        }
        perAddress[network, default: 0] += 1
        return true
    }

    func remove(_ session: RelaySession) {
        let last = sessions.removeLast()
        if last !== session {
            last.index = session.index
            sessions[session.index] = last
        }
        paused.removeAll { $0.session === session }
        guard session.isCounted else { return }
        let network = session.address.masked(to: session.address.isV6 ? 64 : 32)
        let count = perAddress[network]! - 1
        perAddress[network] = count == 0 ? nil : count
    }

    // MARK: Who is connected

    /// Makes a session whose client has proved its id a client, if it may be one.
    func admit(_ session: RelaySession, _ id: EndpointID, token: String?, now: Instant) {
        if let refusal = access.refusal(id, token: token) { return session.deny(id, refusal, now: now) }
        let endpoint = endpoints[id] ?? RelayEndpoint(id: id)
        endpoints[id] = endpoint
        let previous = endpoint.active
        session.deadline = nil
        session.phase = .relaying(endpoint)
        session.token = token
        session.send(.serverConfirmsAuth, now: now)
        endpoint.add(session)
        counters.admitted += 1
        previous?.tell(.sameIDConnected, now: now)
        if endpoint.sessions.count > RelaySettings.inactiveConnections + 1 {
            endpoint.sessions[0].end(.superseded, status: 1008, now: now)
        }
        onEvent?(.connected(id, session.address, session.version))
    }

    /// Takes a session off its id.
    func leave(_ session: RelaySession, _ reason: RelaySession.Ending, now: Instant) {
        session.latestDestination = nil
        guard case .relaying(let endpoint) = session.phase else { return }
        session.phase = .ending
        let wasActive = endpoint.active === session
        endpoint.remove(session)
        onEvent?(.gone(endpoint.id, session.address, reason))
        if let active = endpoint.active {
            if wasActive { active.tell(.healthy, now: now) }
        } else {
            endpoints[endpoint.id] = nil
            for recipient in endpoint.recipients { endpoints[recipient]?.active?.send(.endpointGone(endpoint.id), now: now) }
        }
    }

    // MARK: Who gets what

    /// Sends a frame with datagrams on to the active session of the id in it.
    func forward(_ frame: UnsafeRawBufferPointer, from source: RelayEndpoint, _ session: RelaySession, now: Instant) {
        let header: RelayDatagramHeader
        do throws(RelayFrameError) { header = try RelayDatagramHeader(decoding: frame) } catch {
            switch error {
            case .noDatagram, .tooLarge: counters.droppedUnusable += 1
            case .malformed, .unknownType: session.failProtocol("a malformed frame", now: now)
            }
            return
        }
        guard header.direction == .toRelay else { return session.failProtocol("a frame that no client sends", now: now) }
        guard let destination = destination(header.id, from: session), let receiver = destination.active else {
            counters.droppedUnknown += 1
            return
        }
        let isTaken = receiver.enqueue(WebSocketHeader(opcode: .binary, payload: frame.count), now: now) { bytes in
            bytes.append(frame[0] + RelayDatagramHeader.relayedTypeOffset)
            source.id.withUnsafeBytes { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: frame[(RelayDatagramHeader.idOffset + EndpointID.length)...]))
        }
        guard isTaken else {
            counters.droppedFull += 1
            return
        }
        counters.relayed += 1
        counters.relayedBytes += UInt64(frame.count - header.length)
        source.remember(recipient: header.id)
    }

    private func destination(_ id: EndpointID, from session: RelaySession) -> RelayEndpoint? {
        if let latest = session.latestDestination, latest.id == id, latest.active != nil { return latest }
        session.latestDestination = endpoints[id]
        return session.latestDestination
    }

    // MARK: Time

    /// Counts bytes that a client has sent, and pauses it when they are more than it may, or than all may.
    func limit(_ session: RelaySession, _ count: Int, now: Instant) {
        counters.bytesReceived += UInt64(count)
        let own = session.rate?.take(count, now: now)
        let until = [own, totalRate?.take(count, now: now)].compactMap { $0 }.max()
        guard let until, !session.isPaused, !session.isEnding else { return }
        counters.pauses += 1
        session.setPaused(true)
        paused.append((session, until))
        if !session.wasRateLimited, session.version >= .v2 { session.send(.status(.rateLimited), now: now) }
        session.wasRateLimited = true
    }

    /// Lets paused clients go on whose time has come.
    public func resume(now: Instant) {
        let due = paused.filter { $0.until <= now }
        guard !due.isEmpty else { return }
        paused.removeAll { $0.until <= now }
        for (session, _) in due {
            session.lastHeard = now
            // What it has answered meanwhile has not been read.
            if session.awaitedPong != nil { session.deadline = now + RelaySettings.pongTime }
            session.setPaused(false)
        }
    }

    /// Acts on time that has passed; to be called every ``RelaySettings/tick`` while there are connections.
    public func advance(now: Instant) {
        // From the end, because a session that closes leaves its place to the last one.
        for index in sessions.indices.reversed() where index < sessions.count { sessions[index].advance(now: now) }
    }

    /// Tells all clients to come back, and ends.
    public func restart(now: Instant) {
        for session in Array(sessions) {
            if case .relaying = session.phase {
                let reconnectIn = UInt32.random(in: RelaySettings.reconnectIn)
                session.send(.restarting(reconnectIn: reconnectIn, tryFor: RelaySettings.reconnectFor), now: now)
            }
            session.end(.restarting, status: 1001, now: now)
        }
    }

    /// Ends connections whose clients the access list does not allow any more.
    public func enforceAccess(now: Instant) {
        for session in Array(sessions) {
            guard case .relaying(let endpoint) = session.phase, access.refusal(endpoint.id, token: session.token) != nil else { continue }
            session.end(.denied, status: 1008, now: now)
        }
    }
}
