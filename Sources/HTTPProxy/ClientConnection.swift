import EventLoop
import HTTP1
import Ladder
import Platform

/// A client's connection: its requests, one after another.
final class ClientConnection {
    private enum Phase {
        /// Waits for a request's head, or for the rest of it.
        case head
        /// Waits for a connection to the server.
        case connecting(any UpstreamRequest)
        case exchange(Exchange)
        case raw(RawExchange, UpstreamLink)
        /// All has been said; what the client still sends is thrown away until it has read that.
        case closing
    }

    private unowned let proxy: HTTPProxy
    private let client: Wire
    private var phase = Phase.head
    private var reader = HeadReader<RequestHead>()
    private var isReadingHeads = false
    /// The homeserver that the connection leads to, after CONNECT to its port 80.
    private var inner: KeyedHost?
    private(set) var deadline: Instant

    init(_ client: Wire, proxy: HTTPProxy) {
        self.client = client
        self.proxy = proxy
        deadline = .now + proxy.times.head
        client.handler = { [unowned self] readiness in
            let connection = self
            connection.ready(readiness)
        }
        client.wait(for: .readable)
    }

    /// Whether it has not asked for anything, or not to the end.
    var isWaiting: Bool { if case .head = phase { true } else { false } }

    /// Whether the client has ended while a connection is made for it.
    var hasEndedEarly: Bool { if case .connecting = phase { client.isInputEnded } else { false } }

    private func ready(_ readiness: Readiness) {
        switch phase {
        case .head: readHeads(reading: true)
        case .connecting: lookAhead()
        case .exchange(let exchange): exchange.clientReady(readiness)
        case .raw(let exchange, _): exchange.clientReady(readiness)
        case .closing: discard()
        }
    }
}

// Requests.
extension ClientConnection {
    /// - Parameter reading: Whether there may be something to read: after an answer there seldom is, and the loop says when.
    private func readHeads(reading: Bool) {
        guard !isReadingHeads else { return }
        isReadingHeads = true
        defer { isReadingHeads = false }
        do {
            try client.flush()
            var hasRead = !reading
            while case .head = phase {
                guard !client.hasOutput else { return client.wait(for: .writable) }
                let wasInside = reader.isInside
                if !client.unread.isEmpty {
                    reader.append(client.unread)
                    client.drop(client.unread.count)
                }
                if let head = try reader.next() {
                    take(head)
                } else {
                    if reader.isInside && !wasInside { deadline = .now + proxy.times.head }
                    guard !hasRead, try client.read() else {
                        if client.isInputEnded { close() } else { client.wait(for: .readable) }
                        return
                    }
                    hasRead = true
                }
            }
        } catch let error as MessageError {
            send(.malformed(error), to: nil, closes: true)
        } catch { close() }
    }

    private func take(_ head: RequestHead) {
        let framing: BodyFraming
        do throws(MessageError) { framing = try head.framing() } catch { return send(.malformed(error), to: head.method, closes: true) }
        let closes = !head.isPersistent || head.minorVersion == 0 || framing != .none
        switch proxy.decide(head, inner: inner) {
        case .refuse(let refusal):
            proxy.note(.refused(refusal))
            send(.refusal(refusal), to: head.method, closes: closes)
        case .page(let page): send(proxy.answer(page), to: head.method, closes: closes)
        case .inner(let host):
            guard framing == .none else { return send(.refusal(.malformed("CONNECT has no body")), to: head.method, closes: true) }
            inner = host
            client.queue(Forwarding.connected(nil))
            nextHead()
        case .tunnel(let host): connect(.homeserver(host, .raw), tunnel: head, framing)
        case .tunnelOther(let host): connect(.other(host), tunnel: head, framing)
        case .forward(let host, let service, let path):
            forward(ForwardedRequest(head: head, destination: .homeserver(host, service), path: path, framing: framing))
        case .forwardOther(let host, let path): forward(ForwardedRequest(head: head, destination: .other(host), path: path, framing: framing))
        }
    }

    private func connect(_ destination: Destination, tunnel head: RequestHead, _ framing: BodyFraming) {
        guard framing == .none else { return send(.refusal(.malformed("CONNECT has no body")), to: head.method, closes: true) }
        takeOverInput()
        wait(for: proxy.connect(to: destination) { [unowned self] result in
            switch result {
            case .failure(let error): send(.unreachable("\(destination)", error), to: head.method, closes: !head.isPersistent)
            case .success(let link):
                client.queue(Forwarding.connected(link.path))
                goRaw(over: link)
            }
        })
    }

    private func forward(_ request: ForwardedRequest) {
        takeOverInput()
        if let link = proxy.idleLink(for: request) { exchange(request, over: link) } else { connect(for: request) }
    }

    /// What was read behind the head belongs to the body, or to the next request.
    private func takeOverInput() { client.putBack(reader.takeUnread()) }

    private func connect(for request: ForwardedRequest) {
        wait(for: proxy.connect(to: request.destination) { [unowned self] result in
            switch result {
            case .failure(let error): send(.unreachable("\(request.destination)", error), to: request)
            case .success(let link): exchange(request, over: link)
            }
        })
    }

    private func wait(for pending: any UpstreamRequest) {
        phase = .connecting(pending)
        // Whoever makes the connection has its own limits.
        deadline = .never
        client.wait(for: client.unread.isEmpty && !client.isInputEnded ? .readable : [])
    }

    private func lookAhead() {
        do throws(SystemError) { _ = try client.read() } catch { return close() }
        if client.isInputEnded { proxy.noteEnd(of: self) }
        client.wait(for: client.unread.isEmpty && !client.isInputEnded ? .readable : [])
    }

    private func exchange(_ request: ForwardedRequest, over link: UpstreamLink) {
        let exchange = Exchange(request, from: client, over: link) { [unowned self] in ended(request, over: link, $0) }
        phase = .exchange(exchange)
        deadline = .now + proxy.times.answer
        exchange.start()
    }

    private func ended(_ request: ForwardedRequest, over link: UpstreamLink, _ outcome: Exchange.Outcome) {
        guard case .exchange(let exchange) = phase else { return }
        let name = "\(request.destination)"
        if case .done(_, true) = outcome { proxy.keep(link) } else if case .upgraded = outcome {} else { link.wire.close() }
        switch outcome {
        case .done(let keepsClient, _): keepsClient ? nextHead() : beginClosing()
        case .upgraded: goRaw(over: link)
        case .clientGone: close(abruptly: true)
        case .malformedRequest(let error): send(.malformed(error), to: request.head.method, closes: true)
        case .unanswered where link.isReused && request.isRepeatable && !exchange.isAnswerBegun:
            proxy.note(.repeated)
            connect(for: request)
        case .unanswered(let reason):
            proxy.note(.failed("\(name): \(reason)"))
            send(.broken(name, reason, mayHaveActed: !request.isSafe), to: request, over: exchange)
        case .badAnswer(let reason):
            proxy.note(.failed("\(name): \(reason)"))
            send(.noHTTP(name, reason), to: request, over: exchange)
        case .brokenOff(let reason):
            proxy.note(.failed("\(name): an answer broke off: \(reason)"))
            close(abruptly: true)
        }
    }

    private func goRaw(over link: UpstreamLink) {
        let raw = RawExchange(client, link.wire) { [unowned self] isWhole in
            link.wire.close(abruptly: !isWhole)
            close(abruptly: !isWhole)
        }
        phase = .raw(raw, link)
        deadline = .now + proxy.times.raw
        raw.start()
    }
}

// Answers of the proxy's own, and the end.
extension ClientConnection {
    /// - Parameter exchange: What the answer is told instead of; nil when there was none.
    private func send(_ answer: Answer, to request: ForwardedRequest, over exchange: Exchange? = nil) {
        var answer = answer
        if let path = exchange?.link.path { answer.fields.append((Forwarding.pathField, path.rawValue)) }
        let isRead = exchange?.isRequestSent ?? (request.framing == .none)
        // Who writes pages to a file wants none of ours there (RFC 7240, 4.2).
        if request.head.fields.contains("return=minimal", in: "prefer") { answer.text = "" }
        send(answer, to: request.head.method, closes: !request.head.isPersistent || request.head.minorVersion == 0 || !isRead)
    }

    /// - Parameter closes: Whether nothing more is expected of the client: the rest of a body perhaps, but nothing that makes sense.
    private func send(_ answer: Answer, to method: String?, closes: Bool) {
        client.queue(answer.bytes(method: method, closes: closes))
        closes ? beginClosing() : nextHead()
    }

    private func nextHead() {
        phase = .head
        deadline = .now + proxy.times.idle
        readHeads(reading: false)
        // The loop that is running goes on by itself.
    }

    private func beginClosing() {
        phase = .closing
        deadline = .now + proxy.times.closing
        discard()
    }

    /// Closing while bytes come in would reset the connection, and the client would lose what it has not read (RFC 9112, 9.6).
    private func discard() {
        do throws(SystemError) {
            try client.flush()
            guard !client.hasOutput else { return client.wait(for: .writable) }
            client.finishOutput()
            client.drop(client.unread.count)
            while try client.read() { client.drop(client.unread.count) }
        } catch { return close() }
        if client.isInputEnded { close() } else { client.wait(for: .readable) }
    }

    /// Looks at the time.
    func tick(_ now: Instant) {
        switch phase {
        case .exchange(let exchange) where exchange.hasProgressed:
            exchange.hasProgressed = false
            deadline = now + (exchange.isAnswered ? proxy.times.body : proxy.times.answer)
        case .raw(let exchange, _) where exchange.hasProgressed:
            exchange.hasProgressed = false
            deadline = now + proxy.times.raw
        default: break
        }
        guard deadline <= now else { return }
        switch phase {
        case .head where reader.isInside: send(.tooSlow, to: nil, closes: true)
        case .exchange(let exchange) where !exchange.isAnswered:
            exchange.link.wire.close()
            proxy.note(.failed("\(exchange.request.destination): no answer came in time"))
            send(.silent("\(exchange.request.destination)", proxy.times.answer), to: exchange.request, over: exchange)
        case .head, .connecting, .exchange, .raw, .closing: close(abruptly: true)
        }
    }

    func close(abruptly: Bool = false) {
        switch phase {
        case .connecting(let pending): pending.cancel()
        case .exchange(let exchange): exchange.link.wire.close(abruptly: true)
        case .raw(_, let link): link.wire.close(abruptly: true)
        case .head, .closing: break
        }
        phase = .closing
        client.close(abruptly: abruptly)
        proxy.remove(self)
    }
}
