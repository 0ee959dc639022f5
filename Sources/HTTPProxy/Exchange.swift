import EventLoop
import HTTP1
import Ladder
import Platform

/// A request that is passed on.
struct ForwardedRequest {
    let head: RequestHead
    let destination: Destination
    let path: String
    let framing: BodyFraming

    /// Whether asking twice is as good as asking once (RFC 9110, 9.2.2), and possible: a body is not kept.
    var isRepeatable: Bool { framing == .none && ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(head.method) }
    /// Whether it can't have changed anything (RFC 9110, 9.2.1).
    var isSafe: Bool { ["GET", "HEAD", "OPTIONS", "TRACE"].contains(head.method) }
    /// What the connection may go over to; other protocols are not offered to the homeserver, which it may live without (RFC 9110, 7.8).
    var upgrade: String? { framing == .none && head.upgrades == ["websocket"] ? "websocket" : nil }
}

/// A request on its way to a server and the answer on its way back. Bodies are passed on as they are, in either direction at its own pace.
final class Exchange {
    /// How it went.
    enum Outcome {
        case done(keepsClient: Bool, keepsLink: Bool)
        /// There is no HTTP any more: both ends talk the other protocol.
        case upgraded
        case clientGone
        case malformedRequest(MessageError)
        /// No answer came.
        case unanswered(String)
        /// An answer came that can't be passed on.
        case badAnswer(String)
        /// An answer broke off of which the client has got a part.
        case brokenOff(String)
    }

    /// More `103 Early Hints` and their like are no honest server's.
    private static let mostInterim = 32

    let request: ForwardedRequest
    let link: UpstreamLink
    private let client: Wire
    private let completion: (Outcome) -> Void
    private var isOver = false

    private var requestFlow: Flow
    private var requestState = Flow.State.waitsForSource
    /// The server takes no more of the request; its answer may have come before.
    private var isRequestBroken = false
    private var responseFlow: Flow?
    private var responseState = Flow.State.waitsForSource
    /// Whether any byte of an answer has come.
    private(set) var isAnswerBegun = false
    /// Whether anything has happened since somebody last looked.
    var hasProgressed = false
    private var interims = 0
    private var keepsClient = false
    private var keepsLink = false
    /// Whether nothing but the end of the connection tells that the answer is whole.
    private var endsWithConnection = false

    init(_ request: ForwardedRequest, from client: Wire, over link: UpstreamLink, completion: @escaping (Outcome) -> Void) {
        self.request = request
        self.client = client
        self.link = link
        self.completion = completion
        requestFlow = Flow(request.framing)
    }

    /// Whether the whole request has been passed on.
    var isRequestSent: Bool { requestState == .finished }

    /// Whether the client has got the head of the answer.
    var isAnswered: Bool { responseFlow != nil }

    func start() {
        link.wire.handler = { [unowned self] readiness in
            let exchange = self
            exchange.hasProgressed = true
            if readiness.contains(.writable) { exchange.pumpRequest() }
            if readiness.contains(.readable) { exchange.pumpResponse() }
            exchange.watch()
        }
        link.wire.queue(Forwarding.request(request.head, path: request.path, to: link, upgrade: request.upgrade))
        pumpRequest()
        watch()
    }

    func clientReady(_ readiness: Readiness) {
        hasProgressed = true
        if readiness.contains(.readable) { isRequestSent ? lookAhead() : pumpRequest() }
        if readiness.contains(.writable) { pumpResponse() }
        watch()
    }

    private func pumpRequest() {
        guard !isOver, !isRequestSent, !isRequestBroken else { return }
        do throws(Flow.Failure) { requestState = try requestFlow.run(from: client, to: link.wire) } catch {
            switch error {
            case .source, .cutShort: end(.clientGone)
            case .malformed(let error): end(isAnswered ? .brokenOff("\(error)") : .malformedRequest(error))
            case .sink:
                isRequestBroken = true
                pumpResponse()
            }
        }
    }

    /// What a client sends before it has its answer waits in its block; that it has gone is seen so too.
    private func lookAhead() {
        guard !isOver, client.unread.isEmpty else { return }
        do throws(SystemError) { _ = try client.read() } catch { end(.clientGone) }
    }

    private func pumpResponse() {
        do throws(SystemError) { try client.flush() } catch { return end(.clientGone) }
        while !isOver, responseFlow == nil { guard readHead() else { return } }
        guard !isOver else { return }
        do throws(Flow.Failure) { responseState = try responseFlow!.run(from: link.wire, to: client) } catch {
            switch error {
            case .sink: end(.clientGone)
            case .source(let error): end(.brokenOff(error.reason))
            case .malformed(let error): end(.brokenOff("\(error)"))
            case .cutShort: end(.brokenOff("it ended early"))
            }
            return
        }
        if responseState == .finished {
            if endsWithConnection && link.wire.hasHungUp { return end(.brokenOff("its connection broke")) }
            end(.done(keepsClient: keepsClient && isRequestSent,
                      keepsLink: keepsLink && isRequestSent && link.wire.unread.isEmpty && !link.wire.isInputEnded))
        }
    }

    /// Takes a head of an answer, or reads on for one; false when there is nothing more to read now.
    private func readHead() -> Bool {
        do throws(MessageError) {
            if let head = try link.reader.next() {
                try take(head)
                return true
            }
        } catch {
            end(.badAnswer("\(error)"))
            return true
        }
        do throws(SystemError) {
            if try link.wire.read() {
                isAnswerBegun = true
                link.reader.append(link.wire.unread)
                link.wire.drop(link.wire.unread.count)
                return true
            }
        } catch {
            end(.unanswered(error.reason))
            return true
        }
        if link.wire.isInputEnded { end(.unanswered("it was closed")) }
        return link.wire.isInputEnded
    }

    private func take(_ head: ResponseHead) throws(MessageError) {
        if head.isInterim {
            interims += 1
            guard interims <= Self.mostInterim else { throw .malformed("there is no end of interim answers") }
            // HTTP/1.0 has none (RFC 9110, 15.2).
            if request.head.minorVersion > 0 { client.queue(Forwarding.response(head, over: link, closes: false)) }
            do throws(SystemError) { try client.flush() } catch { end(.clientGone) }
            return
        }
        // The client would take it for ours, and send what the proxy's password is.
        guard head.status != 407 else { throw .malformed("it asks for a proxy's password") }
        if head.status == 101 {
            guard let upgrade = request.upgrade, head.fields.elements("upgrade") == [upgrade] else { throw .malformed("it goes over to another protocol unasked") }
            client.queue(Forwarding.response(head, over: link, closes: false, upgrade: upgrade))
            link.wire.putBack(link.reader.takeUnread())
            return end(.upgraded)
        }
        let framing = try head.framing(for: request.head.method)
        endsWithConnection = framing == .untilClose
        keepsLink = head.isPersistent && !endsWithConnection
        keepsClient = request.head.isPersistent && request.head.minorVersion > 0 && !endsWithConnection && isRequestSent
        client.queue(Forwarding.response(head, over: link, closes: !keepsClient))
        link.wire.putBack(link.reader.takeUnread())
        responseFlow = Flow(framing)
    }

    /// Waits for what lets it go on.
    private func watch() {
        guard !isOver else { return }
        var ofClient: Readiness = [], ofServer: Readiness = []
        if isRequestSent {
            if client.unread.isEmpty && !client.isInputEnded { ofClient.insert(.readable) }
        } else if !isRequestBroken {
            if requestState == .waitsForSource { ofClient.insert(.readable) } else { ofServer.insert(.writable) }
        }
        if responseState == .waitsForSource { ofServer.insert(.readable) }
        if responseState == .waitsForSink || client.hasOutput { ofClient.insert(.writable) }
        client.wait(for: ofClient)
        link.wire.wait(for: ofServer)
    }

    private func end(_ outcome: Outcome) {
        guard !isOver else { return }
        isOver = true
        completion(outcome)
    }
}
