import EventLoop
import HolePunching
import Platform

/// The addresses at which our sockets may be reached, as far as they are known now.
public final class LocalCandidates {
    /// All of them, the surest first, for a peer that has proved who it is.
    public private(set) var all: [Candidate] = []
    /// Those that everybody may be told: configured and mapped ones, and an interface's own that mean something everywhere.
    public private(set) var published: [SocketAddress] = []
    /// Of the network around us when it was last looked at.
    public var network: NetworkState { sources.network }

    private var sources = CandidateSources() { didSet { if sources != oldValue { update(from: oldValue) } } }
    private var observers = Observers<Void>(), mappingObservers = Observers<Void>(), networkObservers = Observers<Void>()
    private var watcher: NetworkWatcher!
    /// IPv6 being true.
    private var askedFamilies: Set<Bool> = []

    init(on loop: EventLoop) {
        sources.network = .current
        watcher = NetworkWatcher(on: loop) { [unowned self] in look() }
    }

    /// Addresses that the user says lead to us.
    public var configured: [SocketAddress] {
        get { sources.configured }
        set { sources.configured = newValue }
    }

    /// Addresses from which a router sends on to us.
    public var mapped: [SocketAddress] {
        get { sources.mapped }
        set { sources.mapped = newValue }
    }

    /// Whether addresses that mean something only within this network are published.
    public var publishesLAN: Bool {
        get { sources.publishesLAN }
        set { sources.publishesLAN = newValue }
    }

    /// Has a handler called after each change of ``all`` or ``published`` until ``stopObserving(_:)``.
    public func observe(_ handler: @escaping () -> Void) -> Int { observers.add(handler) }

    public func stopObserving(_ observer: Int) { observers.remove(observer) }

    /// Likewise after each change of ``mapping(v6:)``.
    public func observeMapping(_ handler: @escaping () -> Void) -> Int { mappingObservers.add(handler) }

    public func stopObservingMapping(_ observer: Int) { mappingObservers.remove(observer) }

    /// Has a handler called after addresses or default routes of this machine have changed, also when no candidate has: what was open on
    /// the way before may be shut on the way now.
    public func observeNetwork(_ handler: @escaping () -> Void) -> Int { networkObservers.add(handler) }

    public func stopObservingNetwork(_ observer: Int) { networkObservers.remove(observer) }

    /// How a NAT maps our socket of a family, by what STUN servers have seen.
    public func mapping(v6: Bool) -> AddressMapping { sources.mappings[v6] ?? .unknown }

    /// Whether a STUN server of a family is known, so that silence says something.
    public func isAsked(v6: Bool) -> Bool { askedFamilies.contains(v6) }

    func setReflexive(_ views: [ReflexiveView]) {
        askedFamilies = Set(views.filter(\.hasServers).map(\.isV6))
        var next = sources
        next.reflexive = views.flatMap(\.addresses)
        let own = Set(next.ownAddresses)
        for view in views { next.mappings[view.isV6] = view.mapping { own.contains($0) } }
        sources = next
    }

    func add(socket: SocketAddress) { sources.sockets.append(socket) }

    private func look() {
        let current = NetworkState.current
        guard current != network else { return }
        sources.network = current
        networkObservers.tell(())
    }

    private func update(from former: CandidateSources) {
        let (all, published) = (sources.all, sources.published)
        let isMoved = all != self.all || published != self.published
        (self.all, self.published) = (all, published)
        if isMoved { observers.tell(()) }
        if sources.mappings != former.mappings { mappingObservers.tell(()) }
    }
}
