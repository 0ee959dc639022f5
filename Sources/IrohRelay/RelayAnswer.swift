import Metrics

/// An answer to a request that makes no WebSocket.
struct RelayAnswer {
    var status: Int
    var fields: [(String, String)]
    var body: [UInt8]
    /// A HEAD request gets the length but not the body.
    var isHeadOnly = false

    init(_ status: Int, text: String = "", type: String = "text/plain; charset=utf-8", fields: [(String, String)] = []) {
        self.status = status
        self.fields = (text.isEmpty ? [] : [("Content-Type", type)]) + fields
        body = Array(text.utf8)
    }

    private static let reasons = [
        200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        429: "Too Many Requests", 431: "Request Header Fields Too Large",
    ]

    /// - Parameter isSecure: Over TLS, browsers are told to come back with TLS only, as the reference relay does.
    func encoded(isSecure: Bool) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(Self.reasons[status] ?? "")\r\nConnection: close\r\n"
        if status != 204 { head += "Content-Length: \(body.count)\r\n" }
        if isSecure { head += "Strict-Transport-Security: max-age=63072000\r\nContent-Security-Policy: default-src 'none'\r\n" }
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        return Array((head + "\r\n").utf8) + (isHeadOnly ? [] : body)
    }
}

extension RelayHub {
    /// What a relay answers beside the relaying (spec/iroh-wire.md, 4.5).
    ///
    /// - Parameter isTrusted: The request comes from the operator, who may see the metrics.
    func page(_ request: HTTPRequestHead, isTrusted: Bool) -> RelayAnswer {
        guard request.method == "GET" || request.method == "HEAD" else {
            return RelayAnswer(405, text: "only GET\n", fields: [("Allow", "GET, HEAD")])
        }
        var answer = switch request.path {
        // An endpoint uses no relay that does not answer this.
        case "/ping": RelayAnswer(200, fields: [("Access-Control-Allow-Origin", "*")])
        case "/generate_204": RelayAnswer(204, fields: challengeResponse(request))
        case "/healthz": RelayAnswer(200, text: #"{"status":"ok","version":"\#(settings.version)"}"# + "\n", type: "application/json")
        case "/metrics" where isTrusted: RelayAnswer(200, text: metrics, type: Metrics.contentType)
        case "/metrics": RelayAnswer(403, text: "metrics are shown to the operator only\n")
        case "/", "/index.html": RelayAnswer(200, text: "This is an iroh relay. It passes on encrypted packets between endpoints.\n")
        case "/robots.txt": RelayAnswer(200, text: "User-agent: *\nDisallow: /\n")
        default: RelayAnswer(404, text: "nothing here\n")
        }
        answer.isHeadOnly = request.method == "HEAD"
        return answer
    }

    /// What shows a client that no captive portal has answered in the relay's place.
    private func challengeResponse(_ request: HTTPRequestHead) -> [(String, String)] {
        guard let challenge = request.value("x-iroh-challenge"), (1...63).contains(challenge.utf8.count),
            challenge.utf8.allSatisfy({ byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: "._-".utf8.contains(byte)
                }
            })
        else { return [] }
        return [("X-Iroh-Response", "response \(challenge)")]
    }
}
