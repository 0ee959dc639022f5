import Crypto
import HTTP1
import Iroh
import Platform
import WebSocket

extension RelayHub {
    /// Answers an HTTP request, or makes it a WebSocket.
    ///
    /// - Returns: Bytes of the request; nil when it is not complete.
    func answerRequest(_ session: RelaySession, _ bytes: UnsafeRawBufferPointer, now: Instant) throws(MessageError) -> Int? {
        guard let request = try HTTPRequestHead(decoding: bytes) else { return nil }
        let isTrusted = settings.isExempt(session.address) && request.list("x-forwarded-for").isEmpty
        if settings.isProxy(session.address), !useForwardedAddress(session, request) {
            session.respond(RelayAnswer(429, text: "too many connections from your address\n"), now: now)
        } else if request.path == "/relay", request.method == "GET" {
            upgrade(session, request, now: now)
        } else {
            counters.pages += 1
            session.respond(page(request, isTrusted: isTrusted), now: now)
        }
        return request.length
    }

    /// Takes the address that a trusted proxy has added last for the client's; false when that has too many connections.
    private func useForwardedAddress(_ session: RelaySession, _ request: HTTPRequestHead) -> Bool {
        for word in WebSocketHandshake.words(request.list("x-forwarded-for")).reversed() {
            guard let ip = (IPAddress(word) ?? SocketAddress(word)?.ip)?.unmapped else { break }
            session.address = ip
            if !settings.isProxy(ip) { break }
        }
        guard !settings.isProxy(session.address), !settings.isExempt(session.address) else { return true }
        session.isCounted = count(session.address)
        return session.isCounted
    }

    private func upgrade(_ session: RelaySession, _ request: HTTPRequestHead, now: Instant) {
        func refuse(_ reason: String, _ fields: [(String, String)] = []) {
            counters.badRequests += 1
            session.respond(RelayAnswer(400, text: reason + "\n", fields: fields), now: now)
        }
        guard request.has("websocket", in: "upgrade"), request.has("upgrade", in: "connection") else {
            return refuse("this is the address of an iroh relay, for WebSocket clients only")
        }
        guard request.value("sec-websocket-version") == WebSocketHandshake.version else {
            return refuse("only WebSocket version 13 is spoken here", [("Sec-WebSocket-Version", WebSocketHandshake.version)])
        }
        guard let accept = request.value("sec-websocket-key").flatMap({ WebSocketHandshake.accept(key: $0) }) else {
            return refuse("no valid Sec-WebSocket-Key")
        }
        let offered = WebSocketHandshake.words(request.list("sec-websocket-protocol"))
        guard let version = RelayFrame.Version.allCases.reversed().first(where: { offered.contains(Substring($0.name)) }) else {
            return refuse("neither iroh-relay-v2 nor iroh-relay-v1 is offered in Sec-WebSocket-Protocol")
        }
        var proof: RelayHeaderAuthentication?
        if let header = request.value(RelayAuthentication.header) {
            proof = RelayHeaderAuthentication(header: header)
            guard proof != nil else { return refuse("malformed X-Iroh-Relay-Client-Auth-V1") }
        }
        session.version = version
        session.upgrade("""
            HTTP/1.1 101 Switching Protocols\r
            Upgrade: websocket\r
            Connection: upgrade\r
            Sec-WebSocket-Accept: \(accept)\r
            Sec-WebSocket-Protocol: \(version.name)\r
            \r

            """, now: now)
        authenticate(session, proof, token: token(request), now: now)
    }

    /// The proof in the header is good on a TLS connection that nothing has ended in between; everybody else is asked.
    private func authenticate(_ session: RelaySession, _ proof: RelayHeaderAuthentication?, token: String?, now: Instant) {
        if let proof, let material = session.transport?.exportKeyingMaterial(
            label: RelayAuthentication.exporterLabel, context: proof.authentication.id.bytes, count: RelayAuthentication.exporterLength),
            proof.isValid(material: material)
        {
            return admit(session, proof.authentication.id, token: token, now: now)
        }
        let challenge = randomBytes(RelayAuthentication.challengeLength)
        session.phase = .handshake(challenge: challenge, token: token)
        session.send(.serverChallenge(challenge), now: now)
    }

    /// The first bearer token of the headers, else the one in the query, which is all that a browser can send.
    private func token(_ request: HTTPRequestHead) -> String? {
        for value in request.values("authorization") {
            let words = value.split(separator: " ")
            if words.count == 2, words[0].lowercased() == "bearer" { return String(words[1]) }
        }
        return request.parameter("token")
    }
}

extension RelaySettings {
    func isExempt(_ address: IPAddress) -> Bool { exempt.contains { $0.contains(address) } }
    func isProxy(_ address: IPAddress) -> Bool { proxies.contains { $0.contains(address) } }
}
