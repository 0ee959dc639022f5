import Crypto
import EventLoop
import Glibc
import Mainline
import Pkarr
import Platform
import RateLimits

/// A Mainline DHT node on a UDP socket: the driver of ``Mainline/MainlineNode`` on the event loop.
public final class DHTNode {
    /// A `host:port` that the network can be entered through.
    public struct Bootstrap: Equatable, Sendable {
        public var host: String
        public var port: UInt16

        /// Reads `host:port` or `[address]:port`.
        public init?(_ text: some StringProtocol) {
            if let address = SocketAddress(text) {
                guard address.port > 0 else { return nil }
                self.init(host: address.ip.description, port: address.port)
                return
            }
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
            let host = text[..<colon]
            guard !host.isEmpty, !host.contains(":"), !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else { return nil }
            self.init(host: String(host), port: port)
        }

        public init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }

        /// Where the public network is entered (spec/pkarr-wire.md, 2.5).
        public static let publicNetwork = [
            Bootstrap(host: "router.bittorrent.com", port: 6881), Bootstrap(host: "dht.transmissionbt.com", port: 6881),
            Bootstrap(host: "dht.libtorrent.org", port: 25401), Bootstrap(host: "relay.pkarr.org", port: 6881),
        ]
    }

    /// Stands for a look-up or a put under way.
    public struct Operation: Hashable, Sendable {
        fileprivate var id: MainlineNode.OperationID
    }

    private enum Waiter {
        case get(onItem: (MutableItem, Contact) -> Void, completion: (LookupOutcome) -> Void)
        case put(completion: (PutOutcome) -> Void)
    }

    /// Datagrams taken before what they bring is checked and told, and other work gets its turn: as many answers as a look-up on a
    /// local network has under way.
    private static let mostDatagramsAtOnce = 8
    /// Addresses taken of one bootstrap name.
    private static let mostAddressesPerName = 8

    public let localAddress: SocketAddress
    private let node: MainlineNode
    private var socket: Int32
    private var watcher: Watcher!
    private var timer: Timer!
    private var deadline: Instant?
    private var waiters: [MainlineNode.OperationID: Waiter] = [:]
    private var namesPending: Int
    /// Names that could not be resolved, with the reason.
    public private(set) var unresolved: [(bootstrap: Bootstrap, error: SystemError)] = []

    /// Room for some thousand messages: a busy node that is not scheduled for a while would lose them with the kernel's default.
    private static let receiveBuffer: Int32 = 1 << 20

    /// Opens the socket and begins to resolve the names. A server also begins to join the network.
    ///
    /// - Parameters:
    ///   - address: Where to bind; port 0 lets the system choose. Mainline is IPv4 only.
    ///   - bootstrap: Where to enter the network; none for the first node of a network of one's own.
    /// - Throws: ``SystemError`` of `socket` and `bind`.
    public init(on loop: EventLoop, bind address: SocketAddress, bootstrap: [Bootstrap], mode: MainlineNode.Mode) throws(SystemError) {
        let descriptor = try Sockets.udp(bind: address, receiveBuffer: Self.receiveBuffer)
        localAddress = try Sockets.localAddress(descriptor.number)
        node = MainlineNode(mode: mode, ownAddress: localAddress, awaitingBootstraps: !bootstrap.isEmpty, now: .now)
        namesPending = bootstrap.count
        socket = descriptor.release()
        timer = Timer(on: loop) { [unowned self] in tick() }
        do throws(SystemError) {
            watcher = try Watcher(on: loop, socket) { [unowned self] _ in receive() }
        } catch {
            Glibc.close(socket)
            socket = -1
            throw error
        }
        watcher.wait(for: .readable)
        for name in bootstrap { resolve(name, on: loop) }
        flush()
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
        begin(
            node.get(MutableItem.target(of: key), moreRecentThan: moreRecentThan, awaitingAll: awaitingAll, now: .now),
            .get(onItem: onItem, completion: completion))
    }

    /// Stores an item at the closest nodes, unless one of them has a more recent one: then nothing is stored and the outcome has it.
    ///
    /// - Parameters:
    ///   - basis: What it was made from, if known: then nothing is stored either when anything else is found.
    ///   - completion: Called once, never from within this call.
    @discardableResult
    public func put(_ item: MutableItem, onto basis: PutBasis? = nil, completion: @escaping (PutOutcome) -> Void) -> Operation {
        begin(node.put(item, onto: basis, now: .now), .put(completion: completion))
    }

    /// Ends an operation. Its callbacks are not called any more.
    public func cancel(_ operation: Operation) {
        waiters[operation.id] = nil
        node.cancel(operation.id)
        flush()
    }

    /// Whose queries are answered, in server mode.
    public var limiter: AddressLimiter {
        get { node.limiter }
        set { node.limiter = newValue }
    }

    /// Queries that the limiter has refused.
    public var refusedQueries: UInt64 { node.refusedQueries }
    /// Nodes in the routing table.
    public var knownNodes: Int { node.knownNodes }
    /// Items stored for others.
    public var storedItems: Int { node.storedItems }
    /// Bytes of memory that they take, about.
    public var storedBytes: Int { node.storedBytes }
    /// Where they are kept beyond the memory for them and the life of the process.
    public var archive: (any Archive)? {
        get { node.archive }
        set { node.archive = newValue }
    }

    /// Closes the socket. Callbacks of what is under way are not called any more.
    public func close() {
        guard socket >= 0 else { return }
        waiters = [:]
        timer.stop()
        watcher.cancel()
        Glibc.close(socket)
        socket = -1
    }

    private func begin(_ id: MainlineNode.OperationID, _ waiter: Waiter) -> Operation {
        waiters[id] = waiter
        // The events of this call, if any, are delivered by the timer: callers don't expect to be called back yet.
        sendDatagrams()
        schedule(atOnce: true)
        return Operation(id: id)
    }

    private func resolve(_ name: Bootstrap, on loop: EventLoop) {
        NameLookup.addresses(of: name.host, port: name.port, on: loop) { [weak self] result in
            guard let self, socket >= 0 else { return }
            namesPending -= 1
            var addresses: [SocketAddress] = []
            switch result {
            case .success(let all): addresses = all.filter { $0.ip.isV6 == localAddress.ip.isV6 }
            case .failure(let error): unresolved.append((name, error))
            }
            node.add(bootstraps: Array(addresses.prefix(DHTNode.mostAddressesPerName)), areAll: namesPending == 0, now: .now)
            flush()
        }
    }

    private func receive() {
        for _ in 0..<DHTNode.mostDatagramsAtOnce {
            // An error here is an earlier datagram's (ECONNREFUSED); the node's time-out deals with that.
            guard socket >= 0, let received = try? Sockets.receiveDatagram(socket, capacity: MainlineNode.largestDatagram + 1) else { break }
            node.receive(received.bytes, from: received.source, now: .now)
            sendDatagrams()
        }
        flush()
    }

    private func tick() {
        deadline = nil
        node.advance(to: .now)
        flush()
    }

    /// Sends what there is to send and tells what there is to tell.
    private func flush() {
        sendDatagrams()
        let events = node.takeEvents(now: .now)
        sendDatagrams()
        for event in events { deliver(event) }
        schedule(atOnce: false)
    }

    private func sendDatagrams() {
        guard socket >= 0 else { return }
        // What the kernel refuses or has no room for is lost like any datagram on its way.
        for datagram in node.takeDatagrams() { _ = try? Sockets.sendDatagram(socket, datagram.bytes, to: datagram.destination) }
    }

    private func deliver(_ event: MainlineNode.Event) {
        switch event {
        case .item(let id, let item, let contact):
            if case .get(let onItem, _) = waiters[id] { onItem(item, contact) }
        case .lookupFinished(let id, let outcome):
            if case .get(_, let completion) = waiters.removeValue(forKey: id) { completion(outcome) }
        case .putFinished(let id, let outcome):
            if case .put(let completion) = waiters.removeValue(forKey: id) { completion(outcome) }
        }
    }

    private func schedule(atOnce: Bool) {
        guard socket >= 0 else { return }
        let now = Instant.now
        guard let next = atOnce ? now : node.nextDeadline else {
            deadline = nil
            return timer.stop()
        }
        // Deadlines move with every datagram, mostly by little and mostly later: an early tick does no harm, a timer call does cost.
        if let deadline, deadline <= next { return }
        deadline = next
        timer.start(after: max(.zero, next - now))
    }
}
