import Crypto
import Discovery
import EventLoop
import HTTPServer
import Pkarr
import Platform

/// A pkarr HTTP relay in front of a DHT node: the interface of pkarr-relay 1.0 (spec/pkarr-wire.md, 2.1 to 2.3).
public final class PkarrRelay {
    /// The longest body that is read: more is 413.
    static let largestBody = 1104
    /// Packets in the cache, pkarr's own number.
    static let cacheCapacity = 1000

    /// Where it listens.
    public var address: SocketAddress { server.address }

    let dht: DHTNode
    /// Whether the node was started without others to join: then having nobody to ask means that nobody has anything.
    let isFirstOfNetwork: Bool
    var cache = PacketCache(capacity: cacheCapacity)
    /// Packets that are being put, each with those who wait for it.
    var puts: [PublicKey: (packet: SignedPacket, exchanges: [HTTPExchange])] = [:]
    private var server: HTTPServer!

    /// - Parameter isFirstOfNetwork: Whether `dht` was given no bootstrap nodes.
    /// - Throws: ``SystemError`` when the address can't be bound.
    public init(on loop: EventLoop, bind address: SocketAddress, dht: DHTNode, isFirstOfNetwork: Bool) throws(SystemError) {
        self.dht = dht
        self.isFirstOfNetwork = isFirstOfNetwork
        server = try HTTPServer(on: loop, bind: address, limits: .init(body: Self.largestBody)) { [unowned self] in answer($0) }
    }

    /// Stops listening; requests not answered yet get 503.
    public func close() { server.close() }

    private func answer(_ exchange: HTTPExchange) {
        let origin = CrossOrigin(exchange)
        exchange.amend = { origin.permit(&$0) }
        if exchange.method == "OPTIONS" { return exchange.answer(origin.preflightAnswer) }
        guard let key = PublicKey(zBase32: exchange.path.dropFirst()), exchange.path.hasPrefix("/") else {
            return exchange.refuse(400, "the path has to be a public key in z-base-32")
        }
        switch exchange.method {
        case "PUT": put(exchange, key)
        case "GET", "HEAD": get(exchange, key)
        default: exchange.answer(HTTPAnswer(status: 405, headers: [("Allow", "GET, HEAD, OPTIONS, PUT")]))
        }
    }
}

extension HTTPExchange {
    /// Answers with a line of text for a person.
    func refuse(_ status: Int, _ reason: String, headers: [(name: String, value: String)] = []) {
        answer(HTTPAnswer(status: status, headers: [("Content-Type", "text/plain; charset=utf-8")] + headers, body: Array((reason + "\n").utf8)))
    }
}
