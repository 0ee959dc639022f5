import Crypto
import Platform
import RateLimits

/// A node of the Mainline DHT (BEP 5, 42, 43, 44) without a socket and without a clock.
///
/// Datagrams and moments go in; datagrams to send and events come out (``takeDatagrams()``, ``takeEvents(now:)``), and ``nextDeadline``
/// says when to call ``advance(to:)`` if nothing else happens. As a client it asks and never answers; as a server it also answers
/// and keeps items for others.
public final class MainlineNode {
    public enum Mode: Equatable, Sendable {
        /// Read-only (BEP 43): asks, answers nobody, is remembered by nobody.
        case client
        case server
        /// Asks as a client does, and answers as the only node there is: it names no others, and tells of each item that it is given to
        /// store. What it is asked for it looks up, except for these targets.
        case sole(handingOut: Set<NodeID>)
    }

    public struct Datagram: Sendable {
        public var bytes: [UInt8]
        public var destination: SocketAddress
    }

    /// A look-up or a put that was asked of this node.
    public struct OperationID: Hashable, Sendable {
        var number: UInt64
    }

    public enum Event {
        /// A valid item, as soon as a node has sent it. The same item comes once for each node that has it.
        case item(OperationID, MutableItem, from: Contact)
        case lookupFinished(OperationID, LookupOutcome)
        case putFinished(OperationID, PutOutcome)
        /// Somebody has given an item to store, to a node that is the only one.
        case given(MutableItem)
    }

    /// Datagrams larger than this are not KRPC: the largest item with twenty contacts makes 1.8 kB, and the mainline library reads
    /// no more than this.
    public static let largestDatagram = 2048
    /// Look-ups and puts that run at the same time; more wait.
    public static let mostRunning = 64
    /// Look-ups and puts that wait; more are refused as overloaded.
    static let mostWaiting = 1024
    /// Whatever happens, a look-up ends after this long: six time-outs of the slowest kind.
    static let longestLookup = Duration.seconds(12)

    /// Queries that one address is answered. It keeps one from having all of a server's attention, or from making it shout at somebody
    /// whose address was forged: an answer can be ten times as long as its query. A node that looks something up asks us once or twice.
    /// Local networks are not limited: there one address may be many nodes.
    public static let queryQuota = Quota(20, each: .second, burst: 100)!

    public let mode: Mode
    public internal(set) var id: NodeID
    /// Where this node itself is, for what it stores itself.
    let ownAddress: SocketAddress

    var table: RoutingTable
    var bootstraps: [SocketAddress] = []
    var isAwaitingBootstraps: Bool
    var transactions = Transactions()
    var operations: [OperationID: Operation] = [:]
    /// Answers whose items have not been checked. That takes longer than all else, so what the answers lead to is sent first.
    var unchecked: [(operation: OperationID, response: KRPCResponse, contact: Contact, place: Int)] = []
    var waiting: [(id: OperationID, operation: Operation)] = []
    private var lastOperation: UInt64 = 0
    var size: NetworkSize
    /// Where a look-up goes that is for no item: tests want to know.
    var randomTarget: () -> NodeID = NodeID.random
    /// The look-up that finds out the size of the network.
    var surveyor: OperationID?
    var nextSurvey: Instant
    var tokens: Tokens
    let store: ItemStore
    /// The node of this process in the network of the other family of addresses (BEP 32).
    weak var sibling: MainlineNode?
    /// Nodes that have been named by the other network, or in an earlier run, and have not answered yet.
    var rumours: [Contact] = []
    /// Whether anybody has answered in this run.
    public internal(set) var hasBeenAnswered = false
    /// The address that the id is known to be valid for.
    var idAddress: IPAddress?
    /// Whose queries are answered, in server mode.
    public var limiter = AddressLimiter(MainlineNode.queryQuota, exempt: AddressRange.localNetworks)
    /// Queries that were sent.
    public internal(set) var sentQueries: UInt64 = 0
    /// Queries that the limiter has refused.
    public internal(set) var refusedQueries: UInt64 = 0
    var maintenance: Maintenance
    /// Look-ups for those who ask a node that is the only one.
    var fetches: [NodeID: (operation: OperationID, deadline: Instant, enquiries: [Enquiry])] = [:]
    private var datagrams: [Datagram] = []
    private var events: [Event] = []

    /// - Parameters:
    ///   - ownAddress: Where the node's socket is bound.
    ///   - awaitingBootstraps: Whether ``add(bootstraps:now:)`` will be called; until then look-ups that know nobody wait instead of
    ///     ending.
    ///   - memory: Of an earlier run. What it names is asked like any other node, and forgotten when it is silent.
    ///   - storeCapacity: Bytes of memory for items of others.
    ///   - sibling: The node in the other network, if there is one: they share what they store and help each other to nodes.
    public init(
        mode: Mode, ownAddress: SocketAddress, id: NodeID = .random(), memory: NodeMemory? = nil, awaitingBootstraps: Bool,
        storeCapacity: Int = 16 << 20, sibling: MainlineNode? = nil, now: Instant
    ) {
        let id = memory?.id ?? id
        self.mode = mode
        self.id = id
        idAddress = memory?.address
        self.ownAddress = ownAddress
        isAwaitingBootstraps = awaitingBootstraps
        table = RoutingTable(ownID: id)
        tokens = Tokens(now: now)
        store = sibling?.store ?? ItemStore(capacity: storeCapacity)
        maintenance = Maintenance(now: now)
        size = NetworkSize(remembered: memory?.networkSize)
        nextSurvey = now
        for contact in memory?.nodes ?? [] where contact.address.ip.isV6 == ownAddress.ip.isV6 { table.recall(contact) }
        self.sibling = sibling
        sibling?.sibling = self
    }

    // Asking

    /// Looks an item up. Each valid one is an event, then comes the outcome.
    ///
    /// - Parameters:
    ///   - moreRecentThan: Nodes need not send items of this sequence and below; items they send anyway are no events.
    ///   - awaitingAll: Whether to wait for every node that was asked until its time is up, also for those that the result does not need.
    public func get(_ target: NodeID, moreRecentThan: Int64? = nil, awaitingAll: Bool = false, now: Instant) -> OperationID {
        var operation = Operation(.get(moreRecentThan: moreRecentThan), target: target, now: now)
        operation.awaitsAll = awaitingAll
        return start(operation, now: now)
    }

    /// Stores an item at the closest nodes, unless a more recent one is found on the way.
    ///
    /// - Parameter basis: What it was made from, if known: then it is not stored either when there is anything else on the way, and
    ///   nodes are asked to compare and swap (BEP 44).
    public func put(_ item: MutableItem, onto basis: PutBasis? = nil, now: Instant) -> OperationID {
        start(Operation(.put(item, onto: basis), target: item.target, now: now), now: now)
    }

    /// Ends an operation at once; its outcome so far is an event.
    public func cancel(_ id: OperationID) {
        unchecked.removeAll { $0.operation == id }
        if let index = waiting.firstIndex(where: { $0.id == id }) {
            report(id, waiting.remove(at: index).operation, .cancelled)
        } else if let operation = operations.removeValue(forKey: id) {
            report(id, operation, .cancelled)
        }
    }

    /// Gives addresses of nodes to begin with. An empty list says that none could be found.
    ///
    /// - Parameter areAll: Nothing more will come.
    public func add(bootstraps addresses: [SocketAddress], areAll: Bool, now: Instant) {
        bootstraps += addresses.filter { $0.isUsable && $0 != ownAddress && !bootstraps.contains($0) }
        if areAll { isAwaitingBootstraps = false }
        for id in operations.keys {
            operations[id]!.lookup.add(bootstraps: bootstraps)
            proceed(id, now: now)
        }
        if mode == .server { maintenance.hasToJoin(now: now) }
        advance(to: now)
    }

    // In and out

    /// Takes a datagram that has come.
    public func receive(_ datagram: [UInt8], from source: SocketAddress, now: Instant) {
        guard datagram.count <= MainlineNode.largestDatagram, source.isUsable, source != ownAddress,
            let message = try? KRPCMessage(datagram)
        else { return }
        switch message.body {
        case .query(let id, let query):
            if mode != .client { answer(query, message, from: Contact(id: id, address: source), now: now) }
        case .response(let response): take(response, message, from: source, now: now)
        case .error(let error): take(error, message, from: source, now: now)
        }
    }

    /// Does what time demands.
    public func advance(to now: Instant) {
        expireTransactions(now: now)
        for id in operations.keys where now - operations[id]!.startedAt >= MainlineNode.longestLookup && operations[id]!.isLookingUp {
            finishLookup(id, .limited, now: now)
        }
        if mode == .server { maintain(now: now) }
        answerTheImpatient(now: now)
    }

    /// When ``advance(to:)`` has something to do next.
    public var nextDeadline: Instant? {
        var deadlines = operations.values.filter(\.isLookingUp).map { $0.startedAt + MainlineNode.longestLookup }
        if let next = transactions.nextDeadline { deadlines.append(next) }
        if mode == .server { deadlines.append(maintenance.nextDeadline) }
        deadlines += fetches.values.filter { !$0.enquiries.isEmpty }.map(\.deadline)
        return deadlines.min()
    }

    /// Whether there are datagrams to send.
    public var hasDatagrams: Bool { !datagrams.isEmpty }

    /// Takes the datagrams to send now, in order.
    public func takeDatagrams() -> [Datagram] {
        defer { datagrams.removeAll(keepingCapacity: true) }
        return datagrams
    }

    /// Takes what has happened, in order. Checking what has come may lead to more datagrams: send those of before first, and ask for
    /// them again afterwards.
    public func takeEvents(now: Instant) -> [Event] {
        checkAnswers(now: now)
        defer { events.removeAll(keepingCapacity: true) }
        return events
    }

    /// Nodes in the routing table.
    public var knownNodes: Int { table.count }
    /// Items stored for others.
    public var storedItems: Int { store.count }
    /// Bytes of memory that they take, about.
    public var storedBytes: Int { store.bytes }
    /// Where items are kept beyond the memory for them and the life of the process.
    public var archive: (any Archive)? {
        get { store.archive }
        set { store.archive = newValue }
    }

    func send(_ message: KRPCMessage, to destination: SocketAddress) {
        datagrams.append(Datagram(bytes: message.encoded, destination: destination))
    }

    func emit(_ event: Event) { events.append(event) }

    func newOperationID() -> OperationID {
        lastOperation += 1
        return OperationID(number: lastOperation)
    }

    func start(_ operation: Operation, now: Instant) -> OperationID {
        let id = newOperationID()
        if operations.count < MainlineNode.mostRunning {
            begin(id, operation, now: now)
        } else if waiting.count < MainlineNode.mostWaiting {
            waiting.append((id, operation))
        } else {
            report(id, operation, .overloaded)
        }
        return id
    }
}
