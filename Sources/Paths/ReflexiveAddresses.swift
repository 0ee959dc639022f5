import EventLoop
import Platform
import QUIC
import STUN

/// Learns by STUN at which addresses our sockets are seen from outside, and keeps their mappings open.
///
/// Of each family the first socket is asked for: the one that is sent from (``EndpointDriver/path(to:)``).
final class ReflexiveAddresses {
    /// A server's name is looked up again after this, and when none answers.
    private static let nameLifetime: Duration = .seconds(600)
    /// For all names together, before those that are known are asked.
    private static let patience: Duration = .milliseconds(500)

    /// Who is asked, in this order.
    var servers: [HostAndPort] = [] { didSet { if servers != oldValue { lookUp() } } }
    private(set) var views: [ReflexiveView] = []
    private let loop: EventLoop
    private let send: ([UInt8], NetworkPath) -> Void
    private let onChange: () -> Void
    private var timer: Timer!
    /// What each server's name stands for.
    private var found: [HostAndPort: [SocketAddress]] = [:]
    private var lookUps = 0
    private var lookedUp = Instant.now

    /// - Parameters:
    ///   - send: Sends a datagram over a socket.
    ///   - onChange: Called when there may be something new in ``views``.
    init(on loop: EventLoop, send: @escaping ([UInt8], NetworkPath) -> Void, onChange: @escaping () -> Void) {
        self.loop = loop
        self.send = send
        self.onChange = onChange
        timer = Timer(on: loop) { [unowned self] in work() }
        timer.letLoopEnd()
    }

    /// Makes a socket known by its number.
    func add(socket: Int, at local: SocketAddress) {
        guard !views.contains(where: { $0.isV6 == local.ip.isV6 }) else { return }
        views.append(ReflexiveView(of: socket, isV6: local.ip.isV6))
        distribute()
    }

    /// Forgets what was seen and asks anew.
    func networkChanged() {
        for index in views.indices { views[index].networkChanged(now: .now) }
        onChange()
        lookUp()
    }

    /// Takes a datagram that came to a socket; false when it is no answer that is waited for.
    func take(_ datagram: UnsafeRawBufferPointer, on path: NetworkPath) -> Bool {
        guard STUNClient.mayBeAnswer(datagram), let source = path.address, let index = views.firstIndex(where: { $0.socket == path.transport }),
            views[index].take(datagram, from: source, now: .now)
        else { return false }
        onChange()
        schedule()
        return true
    }

    private func lookUp() {
        lookUps += 1
        lookedUp = .now
        let current = lookUps
        found = found.filter { servers.contains($0.key) }
        var awaited = servers.count
        for server in servers {
            NameLookup.addresses(of: server.host, port: server.port, on: loop) { [weak self] result in
                guard let self, current == lookUps else { return }
                awaited -= 1
                if case .success(let addresses) = result { found[server] = addresses }
                if awaited == 0 { distribute() }
            }
        }
        // A name that takes long holds up the others no longer than this.
        Timer.once(on: loop, after: Self.patience) { [weak self] in
            if let self, current == lookUps, awaited > 0 { distribute() }
        }
        if servers.isEmpty { distribute() } else { work() }
    }

    /// Each server's first address of a family, then each one's second: two answers tell most when they come from two servers.
    private func distribute() {
        let lists = servers.compactMap { found[$0] }
        for index in views.indices {
            let isV6 = views[index].isV6
            let own = lists.map { $0.filter { $0.ip.isV6 == isV6 } }
            var chosen: [SocketAddress] = []
            for rank in 0..<(own.map(\.count).max() ?? 0) {
                for list in own where list.indices.contains(rank) && !chosen.contains(list[rank]) { chosen.append(list[rank]) }
            }
            views[index].setServers(chosen, now: .now)
        }
        work()
    }

    private func work() {
        let now = Instant.now
        for index in views.indices {
            while let request = views[index].nextRequest(now: now) {
                send(request.datagram, NetworkPath(transport: views[index].socket, remote: request.server))
            }
        }
        onChange()
        if !servers.isEmpty, now - lookedUp >= patienceWithNames { lookUp() } else { schedule() }
    }

    /// How old what is known of the names may get.
    private var patienceWithNames: Duration {
        let isSilent = !views.isEmpty && views.allSatisfy { $0.failedRounds > 0 }
        return isSilent || found.count < servers.count ? ReflexiveView.interval : Self.nameLifetime
    }

    private func schedule() {
        guard !servers.isEmpty else { return timer.stop() }
        let deadline = views.map(\.deadline).reduce(lookedUp + patienceWithNames, min)
        timer.start(after: max(.zero, deadline - .now))
    }
}
