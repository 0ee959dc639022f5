import HTTP1

/// Stands between a client and a server that speak HTTP/1: no request gets past it whose client fields are not those of ``ClientFields``.
///
/// Without I/O. Requests are rewritten, each of a connection, and their bodies passed as they are; responses are only followed, to know to
/// which request they belong and whether the connection becomes a tunnel of another protocol.
public struct HTTPGate: Sendable {
    /// Requests whose responses have not ended; further ones wait unread.
    public static let mostOutstanding = 32

    /// What goes to the server in place of the request bytes that were taken.
    public enum Output: Equatable, Sendable {
        case nothing
        /// Other bytes.
        case bytes([UInt8])
        /// The same bytes.
        case same
    }

    private enum Incoming { case head, body, tunnel, ignored }
    private enum Outgoing { case head, body, tunnel }

    private struct Exchange {
        var method: String
        var offersUpgrade: Bool
    }

    private let client: ClientFields
    private var incoming = Incoming.head
    private var outgoing = Outgoing.head
    private var requests = HeadReader<RequestHead>()
    private var responses = HeadReader<ResponseHead>()
    private var requestBody = BodyTracker(.none)
    private var responseBody = BodyTracker(.none)
    private var exchanges: [Exchange] = []
    /// Whether the last request that is passed on was taken: its sender, or we, want the connection closed behind it.
    private var isLast = false
    /// Requests that were passed on so far.
    public private(set) var requestCount = 0

    public init(client: ClientFields) { self.client = client }

    /// Bytes of heads that are kept until they are whole.
    public var keptCount: Int { requests.unreadCount + responses.unreadCount }
    /// Requests whose responses have not ended.
    public var outstanding: Int { exchanges.count }
    /// Whether the next request has to wait for a response: for room, or because after the response there may be no HTTP any more.
    public var isHeld: Bool { incoming == .head && (exchanges.count >= Self.mostOutstanding || exchanges.last?.offersUpgrade == true) }
    /// Whether a part of a request's head has come.
    public var isInsideHead: Bool { incoming == .head && requests.isInside }
    /// Whether a request's body goes on.
    public var isInsideBody: Bool { incoming == .body }
    /// Whether bytes are no HTTP any more, in both directions.
    public var isTunnel: Bool { incoming == .tunnel }
    /// Whether there is nothing more to come from either side.
    public var isOver: Bool { incoming == .ignored && exchanges.isEmpty }
    /// Whether nothing of the oldest outstanding request's response has come, so that one of the gateway's own can stand in its place.
    public var isAnswerable: Bool { outgoing == .head && !responses.isInside }

    /// Takes bytes of the client.
    ///
    /// - Returns: How many were taken, which is none while ``isHeld``, and what goes to the server for them.
    /// - Throws: ``GateError``, after which nothing more may be taken from the client.
    public mutating func request(_ bytes: UnsafeRawBufferPointer) throws(GateError) -> (count: Int, output: Output) {
        switch incoming {
        case .tunnel: return (bytes.count, .same)
        case .ignored: return (bytes.count, .nothing)
        case .body:
            let count: Int
            do throws(MessageError) { count = try requestBody.consume(bytes) } catch { throw .request(error) }
            if requestBody.isFinished { incoming = isLast ? .ignored : .head }
            // Servers that put trailers among the fields would believe what stands there.
            return (count, requestBody.tookTrailer ? .nothing : .same)
        case .head:
            guard !isHeld else { return (0, .nothing) }
            do throws(MessageError) {
                let (count, found) = try requests.consume(bytes)
                guard var head = found else { return (count, .nothing) }
                let framing = try head.framing()
                if head.method != "CONNECT" { return (count, .bytes(pass(&head, framing))) }
            } catch { throw .request(error) }
            throw .connectMethod
        }
    }

    private mutating func pass(_ head: inout RequestHead, _ framing: BodyFraming) -> [UInt8] {
        // HTTP/2 without TLS would carry requests that nobody rewrites; WebSocket carries none.
        let offersUpgrade = head.upgrades.contains("websocket") && head.method == "GET" && (framing == .none || framing == .length(0))
        var isPersistent = head.isPersistent
        // A server that does not read a body where it expects none would take it for the next request.
        if Self.bodiless.contains(head.method), framing != .none, framing != .length(0) { isPersistent = false }
        head.fields.removeHopByHop()
        head.fields.remove("trailer")
        client.replace(in: &head.fields)
        if offersUpgrade {
            head.fields.append("Connection", "Upgrade")
            head.fields.append("Upgrade", "websocket")
        } else if !isPersistent {
            head.fields.append("Connection", "close")
        } else if head.minorVersion == 0 {
            head.fields.append("Connection", "keep-alive")
        }
        requestCount += 1
        exchanges.append(Exchange(method: head.method, offersUpgrade: offersUpgrade))
        requestBody = BodyTracker(framing)
        isLast = isLast || !isPersistent
        incoming = !requestBody.isFinished ? .body : isLast ? .ignored : .head
        return head.bytes
    }

    /// Methods whose content has no meaning (RFC 9110, 9.3).
    private static let bodiless: Set = ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]
}

// What the server answers.
extension HTTPGate {
    /// Follows bytes of the server, all of which go to the client as they are.
    ///
    /// - Throws: ``GateError/response(_:)``, after which nobody knows whose the bytes are: they may not be passed on.
    public mutating func response(_ bytes: UnsafeRawBufferPointer) throws(GateError) {
        do throws(MessageError) {
            var rest = bytes
            while !rest.isEmpty, outgoing != .tunnel {
                let count = try outgoing == .head ? takeHead(rest) : responseBody.consume(rest)
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                if outgoing == .body, responseBody.isFinished { endExchange() }
            }
        } catch { throw .response(error) }
    }

    private mutating func takeHead(_ bytes: UnsafeRawBufferPointer) throws(MessageError) -> Int {
        guard let exchange = exchanges.first else { throw .malformed("nobody has asked") }
        let (count, found) = try responses.consume(bytes)
        guard let head = found, !head.isInterim else { return count }
        if head.opensTunnel(for: exchange.method) {
            guard exchange.offersUpgrade, head.fields.elements("upgrade") == ["websocket"] else { throw .malformed("it goes over to what nobody has offered") }
            (incoming, outgoing) = (.tunnel, .tunnel)
            exchanges = []
            return count
        }
        responseBody = BodyTracker(try head.framing(for: exchange.method))
        outgoing = .body
        return count
    }

    private mutating func endExchange() {
        exchanges.removeFirst()
        outgoing = .head
    }

    /// The server has ended the connection.
    ///
    /// - Returns: Whether all that it had to say has come.
    public mutating func serverEnded() -> Bool {
        if outgoing == .body, responseBody.finish() { endExchange() }
        return exchanges.isEmpty && !responses.isInside
    }

    /// A response of the gateway's own, after which the connection has to be closed. It is for the oldest outstanding request, or to what
    /// is none.
    ///
    /// - Parameter reason: One line for a person.
    public func answer(_ status: Int, _ reason: String) -> [UInt8] {
        let text = Array("\(reason)\n".utf8)
        var fields = Fields()
        fields.append("Content-Type", "text/plain; charset=utf-8")
        fields.append("Content-Length", "\(text.count)")
        fields.append("Connection", "close")
        let head = ResponseHead(status: status, reason: Self.phrases[status] ?? "", fields: fields)
        return head.bytes + (exchanges.first?.method == "HEAD" ? [] : text)
    }

    private static let phrases = [
        400: "Bad Request", 403: "Forbidden", 408: "Request Timeout", 431: "Request Header Fields Too Large", 501: "Not Implemented",
        502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]
}
