import Platform

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

/// A request and the way to answer it, once. It knows nothing of sockets: whoever has a request can ask a handler with it.
public final class HTTPExchange {
    public let method: String
    /// Percent-decoded, without the query.
    public let path: String
    public let headers: [(name: String, value: String)]
    /// Parameters of the query, percent-decoded; the value of one without `=` is empty.
    public let parameters: [(name: String, value: String)]
    /// Empty when it was too long, see ``isTooLong``.
    public let body: [UInt8]
    /// The body, as announced or as received, is longer than the server takes: the answer has to be 413, or another refusal.
    public let isTooLong: Bool
    /// Where the connection comes from.
    public let peer: IPAddress
    /// Called once from ``answer(_:)``, for what a server adds to each answer.
    public var amend: ((inout HTTPAnswer) -> Void)?

    private var reply: ((HTTPAnswer) -> Void)?

    /// - Parameter reply: Called at most once, with the answer.
    public init(
        method: String, path: String, headers: [(name: String, value: String)], parameters: [(name: String, value: String)], body: [UInt8],
        isTooLong: Bool, peer: IPAddress, reply: @escaping (HTTPAnswer) -> Void
    ) {
        self.method = method
        self.path = path
        self.headers = headers
        self.parameters = parameters
        self.body = body
        self.isTooLong = isTooLong
        self.peer = peer
        self.reply = reply
    }

    /// The value of the first header of this name, in any case of letters.
    public func header(_ name: String) -> String? { headers.first { $0.name.isSame(as: name) }?.value }

    /// The values of a header that may be there several times, in order, joined as one list (RFC 9110, 5.3); nil without any.
    public func list(_ name: String) -> String? {
        let values = headers.filter { $0.name.isSame(as: name) }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    /// The value of the first query parameter of this name.
    public func query(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// Answers the request. Further answers are dropped, and so is one to a client that has gone.
    public func answer(_ answer: HTTPAnswer) {
        guard let reply else { return }
        self.reply = nil
        var answer = answer
        amend?(&answer)
        amend = nil
        reply(answer)
    }
}

extension String {
    /// Header names don't differ by case, and are ASCII.
    fileprivate func isSame(as name: String) -> Bool { utf8.elementsEqual(name.utf8) { folded($0) == folded($1) } }
}

private func folded(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
