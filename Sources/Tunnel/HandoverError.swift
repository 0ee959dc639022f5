import Glibc
import Platform

/// Why no stream or connection came of a request.
public enum HandoverError: Error, Equatable, CustomStringConvertible {
    /// The other side said no, and why.
    case refused(HandoverRefusal)
    /// There is nobody to ask: why the bridge can't be reached.
    case notConnected(String)
    /// The other side went away before it answered.
    case closed
    /// The other side did not answer in time.
    case timedOut
    /// As many requests as allowed wait for their answers.
    case overloaded
    /// The answer came without the descriptor that belongs to it, most likely because this process has too many open.
    case descriptorLost
    /// The request's descriptor could not be sent.
    case undeliverable(SystemError)

    /// For counting.
    var word: String {
        switch self {
        case .refused: "refused"
        case .notConnected, .closed: "no-bridge"
        case .timedOut: "no-answer"
        case .overloaded: "overloaded"
        case .descriptorLost, .undeliverable: "error"
        }
    }

    public var description: String {
        switch self {
        case .refused(let refusal): refusal.reason
        case .notConnected(let reason): reason
        case .closed: "the other side of the hand-over went away"
        case .timedOut: "no answer within \(HandoverChannel.answerTimeout.components.seconds) s"
        case .overloaded: "\(HandoverChannel.mostUnanswered) requests wait for an answer already"
        case .descriptorLost: "the answer came without its socket; perhaps too many files are open"
        case .undeliverable(let error): "the socket can't be handed over: \(error.reason)"
        }
    }
}

/// Why a hand-over channel ended by itself.
public enum HandoverEnding: Equatable, Sendable, CustomStringConvertible {
    /// The other side closed it or ended.
    case closedByPeer
    /// The other side said something that can't be understood.
    case badMessage(String)
    case failed(SystemError)

    init(_ error: SystemError) {
        self = error.code == EPIPE || error.code == ECONNRESET ? .closedByPeer : .failed(error)
    }

    public var description: String {
        switch self {
        case .closedByPeer: "closed by the other side"
        case .badMessage(let reason): "bad message: \(reason)"
        case .failed(let error): "\(error)"
        }
    }
}
