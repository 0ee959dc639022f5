import HTTP1
import JSON
import Ladder

/// What the proxy itself answers.
struct Answer {
    var status: Int
    var fields: [(name: String, value: String)] = []
    var mediaType = "text/plain; charset=utf-8"
    var text: String

    private static let reasons = [
        200: "OK", 400: "Bad Request", 403: "Forbidden", 407: "Proxy Authentication Required", 408: "Request Timeout",
        431: "Request Header Fields Too Large", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
        505: "HTTP Version Not Supported",
    ]

    /// - Parameters:
    ///   - method: Of the request: to HEAD there is no body.
    ///   - closes: Whether no other answer follows on the connection.
    func bytes(method: String?, closes: Bool) -> [UInt8] {
        var head = ResponseHead(status: status, reason: Self.reasons[status] ?? "")
        let body = Array(text.utf8)
        head.fields.append("Content-Type", mediaType)
        head.fields.append("Content-Length", "\(body.count)")
        for (name, value) in fields { head.fields.append(name, value) }
        // Nobody else's page gets to see, keep or frame it.
        head.fields.append("Cache-Control", "no-store")
        head.fields.append("X-Content-Type-Options", "nosniff")
        head.fields.append("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        head.fields.append("Via", Forwarding.via)
        if closes { head.fields.append("Connection", "close") }
        return method == "HEAD" ? head.bytes : head.bytes + body
    }
}

extension Answer {
    /// What went wrong, in words of RFC 9209 (2.3) as well.
    private static func failure(_ status: Int, _ error: String, _ lines: [String]) -> Answer {
        Answer(status: status, fields: [("Proxy-Status", "keyhole; error=\(error)")], text: lines.joined(separator: "\n") + "\n")
    }

    static func refusal(_ refusal: ProxyPolicy.Refusal) -> Answer {
        switch refusal {
        case .malformed(let reason): return failure(400, "http_request_error", [reason])
        case .notPermitted(let reason): return failure(403, "http_request_denied", [reason])
        case .unauthorized:
            var answer = failure(407, "http_request_denied", ["this proxy wants its token, as password of any user name"])
            answer.fields.append(("Proxy-Authenticate", "Basic realm=\"keyhole\", charset=\"UTF-8\""))
            return answer
        }
    }

    static func malformed(_ error: MessageError) -> Answer { failure(error.status, "http_request_error", ["the request can't be read: \(error)"]) }

    static let tooSlow = failure(408, "http_request_error", ["the head of the request did not come in time"])
    static let tooMany = failure(503, "connection_limit_reached", ["there are too many connections"])

    /// There is no connection to the homeserver.
    static func unreachable(_ name: String, _ error: LadderError) -> Answer {
        // The message tells of them too where nothing else is to be said.
        let attempts = error.attempts.map { "\($0)" }.filter { !error.message.contains($0) }
        switch error.status {
        // Not 404: that would be the homeserver's word on one of its pages, and programs act on it.
        case .keyNotFound: return failure(502, "dns_error", ["\(name): \(error.message)"] + attempts)
        case .unreachable: return failure(502, "destination_unavailable", ["\(name): \(error.message)"] + attempts)
        case .permission: return failure(502, "connection_refused", ["\(name): \(error.message)"] + attempts)
        case .wrongPeer: return failure(502, "tls_certificate_error", ["\(name): \(error.message)", "somebody else answered in the homeserver's place; nothing was sent"] + attempts)
        case .tryAgain:
            var answer = failure(503, "destination_unavailable", ["\(name): \(error.message)"] + attempts)
            answer.fields.append(("Retry-After", "5"))
            return answer
        }
    }

    /// The homeserver was reached, but no answer came back.
    static func broken(_ name: String, _ reason: String, mayHaveActed: Bool) -> Answer {
        failure(502, "connection_terminated", ["\(name): the connection broke before an answer came: \(reason)"]
            + (mayHaveActed ? ["the homeserver may have done what was asked; it was not asked twice"] : []))
    }

    static func noHTTP(_ name: String, _ reason: String) -> Answer { failure(502, "http_protocol_error", ["\(name): the answer can't be passed on: \(reason)"]) }

    static func silent(_ name: String, _ time: Duration) -> Answer {
        failure(504, "http_response_timeout", ["\(name): no answer came within \(time.components.seconds) s", "the homeserver may have done what was asked"])
    }
}
