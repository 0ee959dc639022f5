import CMicrohttpd

/// An answer to a request.
public struct HTTPAnswer: Sendable {
    public var status: Int
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]

    public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// A request and the way to answer it. When the client goes away first, the answer is dropped.
public final class HTTPExchange {
    /// An overlong body is read on this far, in bytes, so that a client still writing it gets to see the 413.
    private static let patience = 64 * 1024

    private enum State {
        case receiving
        /// The handler has the request; the connection sleeps if it has returned without an answer.
        case handling(asleep: Bool)
        case answered(HTTPAnswer, asleep: Bool)
        case over
    }

    public let method: String
    /// Percent-decoded, without the query.
    public let path: String
    public private(set) var body: [UInt8] = []
    /// Called once from ``answer(_:)``, for what a server adds to each answer.
    public var amend: ((inout HTTPAnswer) -> Void)?

    private let connection: OpaquePointer
    private let limit: Int
    private let resume: () -> Void
    private var excess = 0
    private var state = State.receiving

    init(_ connection: OpaquePointer, method: String, path: String, limit: Int, resume: @escaping () -> Void) {
        self.connection = connection
        self.method = method
        self.path = path
        self.limit = limit
        self.resume = resume
    }

    /// The value of a request header; nil when absent, and always nil once answered.
    public func header(_ name: String) -> String? { value(query: false, name) }

    /// The value of a query parameter, empty for one without `=`.
    public func query(_ name: String) -> String? { value(query: true, name) }

    private func value(query: Bool, _ name: String) -> String? {
        if case .over = state { return nil }
        return keyhole_mhd_value(connection, query ? 1 : 0, name).map { String(cString: $0) }
    }

    /// Answers the request. Further answers are dropped.
    public func answer(_ answer: HTTPAnswer) {
        guard case .handling(let asleep) = state else { return }
        var answer = answer
        amend?(&answer)
        state = .answered(answer, asleep: asleep)
        if asleep { resume() }
    }

    /// Answers at once when the announced length is too large already.
    func refuseByLength() -> MHD_Result {
        guard let text = header("Content-Length"), let length = Int(text), length > limit else { return .YES }
        state = .over
        return send(HTTPAnswer(status: 413))
    }

    /// Takes a piece of the body; false when the client will not stop sending.
    func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if excess == 0, body.count + bytes.count <= limit {
            body.append(contentsOf: bytes)
        } else {
            excess += bytes.count
        }
        return excess <= Self.patience
    }

    /// The request is complete, or the connection has just been woken up to be answered.
    func proceed(_ handler: (HTTPExchange) -> Void) -> MHD_Result {
        if case .receiving = state {
            state = .handling(asleep: false)
            if excess > 0 { answer(HTTPAnswer(status: 413)) } else { handler(self) }
        }
        switch state {
        case .handling:
            state = .handling(asleep: true)
            keyhole_mhd_suspend(connection)
            return .YES
        case .answered(let answer, _):
            state = .over
            return send(answer)
        case .receiving, .over: return .NO
        }
    }

    func abandon() { state = .over }

    private func send(_ answer: HTTPAnswer) -> MHD_Result {
        guard let response = keyhole_mhd_response(answer.body, answer.body.count) else { return .NO }
        for header in answer.headers { keyhole_mhd_response_header(response, header.name, header.value) }
        return keyhole_mhd_answer(connection, UInt32(answer.status), response)
    }
}
