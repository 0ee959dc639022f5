import CMicrohttpd
import Platform

/// A request that a connection of libmicrohttpd brings, from its first line until it is answered or gone.
final class PendingRequest {
    /// An overlong body is read on this far, in bytes, so that a client still writing it gets to see the answer.
    private static let patience = 64 * 1024

    private enum State {
        case receiving
        /// The handler has the request; the connection sleeps if it has returned without an answer.
        case handling(asleep: Bool)
        case answered(HTTPAnswer, asleep: Bool)
        case over
    }

    let connection: OpaquePointer
    private let method: String
    private let path: String
    private let limit: Int
    private let resume: () -> Void
    /// Whether the connection ends with the answer.
    var isLast = false
    private var body: [UInt8] = []
    private var excess = 0
    private var state = State.receiving

    init(_ connection: OpaquePointer, method: String, path: String, limit: Int, resume: @escaping () -> Void) {
        self.connection = connection
        self.method = method
        self.path = path
        self.limit = limit
        self.resume = resume
    }

    /// Whether the announced length is too large already: then it can be answered before the body is sent.
    var isAnnouncedTooLong: Bool {
        values(query: false).contains { $0.name.lowercased() == "content-length" && Int($0.value) ?? .max > limit }
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

    /// The request is complete, or too long, or the connection has just been woken up to be answered.
    func proceed(isTooLong: Bool = false, _ handler: (HTTPExchange) -> Void) -> MHD_Result {
        if case .receiving = state {
            state = .handling(asleep: false)
            handler(exchange(isTooLong: isTooLong || excess > 0))
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

    /// Answers a request that is with the handler.
    func answer(_ answer: HTTPAnswer) {
        guard case .handling(let asleep) = state else { return }
        state = .answered(answer, asleep: asleep)
        if asleep { resume() }
    }

    func abandon() { state = .over }

    private func exchange(isTooLong: Bool) -> HTTPExchange {
        let peer = keyhole_mhd_peer(connection).flatMap { SocketAddress($0)?.ip } ?? .v4(0)
        return HTTPExchange(
            method: method, path: path, headers: values(query: false), parameters: values(query: true), body: isTooLong ? [] : body,
            isTooLong: isTooLong, peer: peer) { [weak self] answer in self?.answer(answer) }
    }

    private func values(query: Bool) -> [(name: String, value: String)] {
        var values: [(name: String, value: String)] = []
        withUnsafeMutablePointer(to: &values) { pointer in
            keyhole_mhd_values(connection, query ? 1 : 0, { context, _, name, value in
                let values = context!.assumingMemoryBound(to: [(name: String, value: String)].self)
                if let name { values.pointee.append((String(cString: name), value.map { String(cString: $0) } ?? "")) }
                return .YES
            }, pointer)
        }
        return values
    }

    private func send(_ answer: HTTPAnswer) -> MHD_Result {
        guard let response = keyhole_mhd_response(answer.body, answer.body.count) else { return .NO }
        for header in answer.headers { keyhole_mhd_response_header(response, header.name, header.value) }
        if isLast { keyhole_mhd_response_header(response, "Connection", "close") }
        return keyhole_mhd_answer(connection, UInt32(answer.status), response)
    }
}
