import Crypto
import EventLoop
import Mainline
import Pkarr
import Platform
import RateLimits

/// This process in the Mainline DHT: a ``Mainline/MainlineNode`` on a UDP socket, and another one beside it where there is IPv6 (BEP 32). Each
/// look-up and each put runs in both networks.
public final class DHTNode {
    /// Stands for a look-up or a put under way.
    public struct Operation: Hashable, Sendable {
        fileprivate var number: UInt64
    }

    /// What is under way in which of the ``sockets``.
    private struct Running {
        var parts: [MainlineNode.OperationID?]
        var lookups: [LookupOutcome] = []
        var puts: [PutOutcome] = []
        var waiter: Waiter
        let started = Instant.now
    }

    private enum Waiter {
        case get(onItem: (MutableItem, Contact) -> Void, completion: (LookupOutcome) -> Void)
        case put(completion: (PutOutcome) -> Void)
    }

    /// Addresses taken of one bootstrap name.
    private static let mostAddressesPerName = 8
    /// A network in which nobody has ever answered has at least this long, whatever the other one does: answers take longer than what a
    /// network nearby needs for everything.
    private static let silencePatience = Duration.milliseconds(250)
    /// How often what has been learnt is written to disk: no less is lost when the process is killed.
    private static let savePause = Duration.seconds(600)

    private var sockets: [DHTSocket] = []
    private let loop: EventLoop
    private let memory: NodeFiles?
    private var saving: Timer?
    private var running: [UInt64: Running] = [:]
    private var lastOperation: UInt64 = 0
    /// Which operation a part belongs to, for each socket.
    private var owners: [[MainlineNode.OperationID: UInt64]] = []
    private var namesPending: Int
    /// Names that could not be resolved, with the reason.
    public private(set) var unresolved: [(bootstrap: HostAndPort, error: SystemError)] = []

    /// Opens the sockets and begins to resolve the names. A server also begins to join the network.
    ///
    /// - Parameters:
    ///   - places: Where to listen, one IPv4 or one IPv6 address or one of each; port 0 lets the system choose.
    ///   - bootstrap: Where to enter the network; none for the first node of a network of one's own.
    ///   - memory: Where it remembers between runs.
    /// - Throws: The place and the ``SystemError`` of `socket` or `bind`.
    public init(
        on loop: EventLoop, at places: [ListeningPlace], bootstrap: [HostAndPort], mode: MainlineNode.Mode, memory: NodeFiles? = nil
    ) throws(BindError) {
        self.loop = loop
        self.memory = memory
        namesPending = bootstrap.count
        for (index, place) in places.enumerated() {
            do throws(SystemError) {
                sockets.append(try DHTSocket(
                    on: loop, at: place, mode: mode, memory: memory, sibling: sockets.first,
                    awaitingBootstraps: !bootstrap.isEmpty
                ) { [unowned self] in deliver($0, from: index) })
            } catch { throw BindError(place: place, error: error) }
            owners.append([:])
        }
        for name in bootstrap { resolve(name, on: loop) }
        for socket in sockets { socket.flushLater() }
        guard memory != nil else { return }
        saving = Timer(on: loop) { [unowned self] in save() }
        saving?.start(after: Self.savePause)
    }

    /// A place where it can't listen, and why.
    public struct BindError: Error {
        public var place: ListeningPlace
        public var error: SystemError
    }

    deinit { close() }

    /// Looks up a key's item.
    ///
    /// - Parameters:
    ///   - moreRecentThan: Items of this sequence and below are of no interest, and cost no bandwidth.
    ///   - awaitingAll: Whether to wait also for nodes that the result does not need, until their time is up.
    ///   - onItem: Called with each valid item the moment it comes, and with the node it came from. Signature, key, sequence and size
    ///     have been checked; that the value is a DNS message has not, see ``Pkarr/SignedPacket/init(_:)``.
    ///   - completion: Called once, last, never from within this call.
    @discardableResult
    public func get(
        _ key: PublicKey, moreRecentThan: Int64? = nil, awaitingAll: Bool = false, onItem: @escaping (MutableItem, Contact) -> Void,
        completion: @escaping (LookupOutcome) -> Void
    ) -> Operation {
        let target = MutableItem.target(of: key)
        return begin(.get(onItem: onItem, completion: completion)) {
            $0.get(target, moreRecentThan: moreRecentThan, awaitingAll: awaitingAll, now: .now)
        }
    }

    /// Stores an item at the closest nodes, unless one of them has a more recent one: then nothing is stored and the outcome has it.
    ///
    /// - Parameters:
    ///   - basis: What it was made from, if known: then nothing is stored either when anything else is found.
    ///   - completion: Called once, never from within this call.
    @discardableResult
    public func put(_ item: MutableItem, onto basis: PutBasis? = nil, completion: @escaping (PutOutcome) -> Void) -> Operation {
        begin(.put(completion: completion)) { $0.put(item, onto: basis, now: .now) }
    }

    /// Told of each item that somebody has given to store, to a node that is the only one, see ``Mainline/MainlineNode/Mode``.
    public var onGiven: ((MutableItem) -> Void)?

    /// Ends an operation. Its callbacks are not called any more.
    public func cancel(_ operation: Operation) {
        guard let ended = running.removeValue(forKey: operation.number) else { return }
        abandon(ended)
    }

    private func abandon(_ operation: Running) {
        for (index, part) in operation.parts.enumerated() {
            guard let part else { continue }
            owners[index][part] = nil
            sockets[index].node.cancel(part)
            sockets[index].flushLater()
        }
    }

    private func begin(_ waiter: Waiter, _ start: (MainlineNode) -> MainlineNode.OperationID) -> Operation {
        lastOperation += 1
        running[lastOperation] = Running(parts: sockets.map { start($0.node) }, waiter: waiter)
        for (index, part) in running[lastOperation]!.parts.enumerated() {
            owners[index][part!] = lastOperation
            sockets[index].flushLater()
        }
        return Operation(number: lastOperation)
    }

    private func resolve(_ name: HostAndPort, on loop: EventLoop) {
        NameLookup.addresses(of: name.host, port: name.port, on: loop) { [weak self] result in
            guard let self, isOpen else { return }
            namesPending -= 1
            var addresses: [SocketAddress] = []
            switch result {
            case .success(let all): addresses = all
            case .failure(let error): unresolved.append((name, error))
            }
            for socket in sockets {
                let usable = addresses.filter { $0.ip.isV6 == socket.localAddress.ip.isV6 }
                socket.node.add(bootstraps: Array(usable.prefix(DHTNode.mostAddressesPerName)), areAll: namesPending == 0, now: .now)
                socket.flush()
            }
        }
    }

    private func deliver(_ event: MainlineNode.Event, from index: Int) {
        switch event {
        case .item(let id, let item, let contact):
            if let number = owners[index][id], case .get(let onItem, _) = running[number]?.waiter { onItem(item, contact) }
        case .lookupFinished(let id, let outcome): end(id, of: index) { $0.lookups.append(outcome) }
        case .putFinished(let id, let outcome): end(id, of: index) { $0.puts.append(outcome) }
        case .given(let item): onGiven?(item)
        }
    }

    private func end(_ id: MainlineNode.OperationID, of index: Int, _ note: (inout Running) -> Void) {
        guard let number = owners[index].removeValue(forKey: id), running[number] != nil else { return }
        running[number]!.parts[index] = nil
        note(&running[number]!)
        endIfOver(number)
    }

    private func endIfOver(_ number: UInt64) {
        guard let operation = running[number],
            operation.parts.indices.allSatisfy({ operation.parts[$0] == nil || !sockets[$0].node.hasBeenAnswered && hasAnswers(operation) })
        else { return }
        let rest = operation.started + Self.silencePatience - .now
        if rest > .zero, operation.parts.contains(where: { $0 != nil }) {
            return Timer.once(on: loop, after: rest) { [weak self] in self?.endIfOver(number) }
        }
        running[number] = nil
        // A network in which nobody has ever answered is most likely not connected to this machine.
        abandon(operation)
        switch operation.waiter {
        case .get(_, let completion): completion(LookupOutcome(of: operation.lookups))
        case .put(let completion): completion(PutOutcome(of: operation.puts))
        }
    }

    private func hasAnswers(_ operation: Running) -> Bool {
        operation.lookups.contains(where: \.hasAnswers) || operation.puts.contains { $0.lookup.hasAnswers }
    }

    // What it is and has

    /// Where the sockets are bound.
    public var localAddresses: [SocketAddress] { sockets.map(\.localAddress) }

    /// Sets whose queries are answered, in server mode.
    public func limitQueries(_ limiter: AddressLimiter) {
        for socket in sockets { socket.node.limiter = limiter }
    }

    /// Queries that were sent.
    public var sentQueries: UInt64 { sockets.reduce(0) { $0 + $1.node.sentQueries } }
    /// Queries that the limiter has refused.
    public var refusedQueries: UInt64 { sockets.reduce(0) { $0 + $1.node.refusedQueries } }
    /// Nodes in the routing tables.
    public var knownNodes: Int { sockets.reduce(0) { $0 + $1.node.knownNodes } }
    /// Items stored for others.
    public var storedItems: Int { sockets[0].node.storedItems }
    /// Bytes of memory that they take, about.
    public var storedBytes: Int { sockets[0].node.storedBytes }
    /// Where they are kept beyond the memory for them and the life of the process.
    public var archive: (any Archive)? {
        get { sockets[0].node.archive }
        set { sockets[0].node.archive = newValue }
    }

    private var isOpen: Bool { sockets.contains(where: \.isOpen) }

    /// Writes down what has been learnt, and closes the sockets. Callbacks of what is under way are not called any more.
    public func close() {
        guard isOpen else { return }
        save()
        running = [:]
        saving?.stop()
        for socket in sockets { socket.close() }
    }

    private func save() {
        for socket in sockets {
            if let memory = socket.node.memory(now: .now) { self.memory?.save(memory, isV6: socket.localAddress.ip.isV6) }
        }
        saving?.start(after: Self.savePause)
    }
}
