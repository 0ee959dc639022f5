import Crypto
import EventLoop
import HTTPClient
import Iroh
import IrohRelayClient
import Platform
import QUIC

/// The relays that an endpoint sends through, with one connection to each.
public final class RelayTransports {
    /// What happens at a relay.
    public enum Event {
        /// The connection to it is another than before.
        case changed(RelayLink.State)
        /// An endpoint that something had come from is there no more.
        case gone(EndpointID)
        /// Whether another connection with our key gets what is sent to it there.
        case superseded(Bool)
    }

    /// A relay that nothing was sent through for this long is left, as iroh does it (spec/iroh-wire.md, 4.4).
    private static let idleTime: Duration = .seconds(60)
    /// How often that is looked after.
    private static let idleCheck: Duration = .seconds(15)

    private final class Relay {
        let url: RelayURL
        var link: RelayLink?
        /// Those who want the connection kept.
        var holders: Set<ObjectIdentifier> = []

        init(_ url: RelayURL) { self.url = url }
    }

    private let key: SecretKey
    private let tokens: RelayTokens
    private let loop: EventLoop
    private let receiver: (UnsafeRawBufferPointer, NetworkPath, UInt8) -> Void
    /// By the numbers that ``NetworkPath/transport`` has; a connection may refer to one long after it was left, so none is removed.
    private var relays: [Relay] = []
    private var observers = Observers<(RelayURL, Event)>()
    private var timer: Timer?
    /// What asks the relays over HTTP, and connects to them.
    public private(set) lazy var http = HTTPClient(on: loop)

    /// - Parameters:
    ///   - receiver: Called for each datagram; the bytes are valid during the call.
    init(key: SecretKey, tokens: RelayTokens, on loop: EventLoop, receiver: @escaping (UnsafeRawBufferPointer, NetworkPath, UInt8) -> Void) {
        self.key = key
        self.tokens = tokens
        self.loop = loop
        self.receiver = receiver
    }

    /// The connection to a relay, which is made if there is none.
    @discardableResult
    public func link(to url: RelayURL) -> RelayLink { link(number(of: url)) }

    /// Keeps the connection to a relay until the holder unpins it, and makes it if there is none.
    func pin(_ url: RelayURL, for holder: AnyObject) {
        relays[number(of: url)].holders.insert(ObjectIdentifier(holder))
        link(to: url)
    }

    /// Leaves a relay as soon as nobody uses or holds it.
    func unpin(_ url: RelayURL, for holder: AnyObject) { relays[number(of: url)].holders.remove(ObjectIdentifier(holder)) }

    /// The path through a relay to an endpoint there. The connection to the relay is made if there is none.
    func path(through url: RelayURL, to endpoint: EndpointID) -> NetworkPath {
        link(to: url)
        return NetworkPath(relay: number(of: url), to: endpoint)
    }

    /// The relay that a path goes through.
    func url(of path: NetworkPath) -> RelayURL { relays[path.transport].url }

    /// Whether there is a connection to the relay.
    public func isConnected(_ url: RelayURL) -> Bool {
        if case .connected? = relays[number(of: url)].link?.state { true } else { false }
    }

    /// Has a handler called for each event until ``stopObserving(_:)``.
    public func observe(_ handler: @escaping (RelayURL, Event) -> Void) -> Int { observers.add { handler($0.0, $0.1) } }

    public func stopObserving(_ observer: Int) { observers.remove(observer) }

    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) {
        guard case .relayed(let id) = path.remote else { return }
        link(path.transport).send(bytes, segmentSize: segmentSize, to: id, ecn: ecn)
    }

    /// Asks those that we are connected to whether they are there (``RelayLink/check()``).
    public func check() { for relay in relays { relay.link?.check() } }

    func flush() { for relay in relays { relay.link?.flush() } }

    func close() {
        timer = nil
        for relay in relays {
            relay.link?.close()
            relay.link = nil
        }
    }

    private func number(of url: RelayURL) -> Int {
        // A handful: an endpoint has one relay at a time, a packet has room for a few.
        if let known = relays.firstIndex(where: { $0.url == url }) { return known }
        relays.append(Relay(url))
        return relays.count - 1
    }

    private func link(_ number: Int) -> RelayLink {
        let relay = relays[number]
        if let link = relay.link { return link }
        let link = RelayLink(relay.url, key: key, token: tokens.token(for: relay.url), http: http, on: loop)
        link.onDatagram = { [receiver] bytes, source, ecn in receiver(bytes, NetworkPath(relay: number, to: source), ecn) }
        link.onState = { [unowned self] state in tell(relay.url, .changed(state)) }
        link.onGone = { [unowned self] id in tell(relay.url, .gone(id)) }
        link.onSuperseded = { [unowned self] in tell(relay.url, .superseded($0)) }
        relay.link = link
        if timer == nil { timer = Timer(on: loop) { [unowned self] in leaveIdle() } }
        timer?.start(after: Self.idleCheck, every: Self.idleCheck)
        return link
    }

    private func tell(_ url: RelayURL, _ event: Event) { observers.tell((url, event)) }

    private func leaveIdle() {
        let now = Instant.now
        for relay in relays where relay.holders.isEmpty {
            guard let link = relay.link, now - link.lastSent > Self.idleTime else { continue }
            link.close()
            relay.link = nil
        }
        if relays.allSatisfy({ $0.link == nil }) { timer?.stop() }
    }
}
