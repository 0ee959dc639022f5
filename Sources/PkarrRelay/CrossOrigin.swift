import HTTPServer

/// Lets web pages of any origin use the relay: all they ask for is allowed (spec/pkarr-wire.md, 2.3; the Fetch standard).
struct CrossOrigin {
    private let origin: String?
    private let method: String?
    private let headers: String?

    init(_ exchange: HTTPExchange) {
        origin = exchange.header("Origin")
        method = exchange.header("Access-Control-Request-Method")
        headers = exchange.header("Access-Control-Request-Headers")
    }

    /// Adds what a browser wants to see in every answer.
    func permit(_ answer: inout HTTPAnswer) {
        answer.headers += [
            ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
            ("Access-Control-Expose-Headers", "Pkarr-Dht-Stored-Nodes, Pkarr-Invalid-Signed-Packet-Seq"),
        ]
        guard let origin else { return }
        answer.headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
    }

    /// To the question that a browser asks before a PUT.
    var preflightAnswer: HTTPAnswer {
        var answer = HTTPAnswer(status: 200)
        if let method { answer.headers.append(("Access-Control-Allow-Methods", method)) }
        if let headers { answer.headers.append(("Access-Control-Allow-Headers", headers)) }
        return answer
    }
}
