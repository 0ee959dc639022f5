import Platform

/// What one side of a hand-over does for the other.
public enum HandoverService {
    /// Nothing: this side only asks.
    case none
    /// It connects to a target for each stream (`tunnel-bridge serve`).
    case connections((HandoverRequest, HandoverResponder) -> Void)
    /// It opens a stream for each connection, which comes along as a non-blocking stream socket (`quic-dial`).
    case streams((HandoverRequest, consuming FileDescriptor, HandoverResponder) -> Void)
}

/// Which way a stream goes, as a dialler says it.
public struct HandoverPath: Equatable, Sendable {
    /// `direct`, `punched` or `relay`; nil when it was not told.
    public var word: String?
    /// The peer's address or the relay's URL, for logs only.
    public var remote: String?

    public init(word: String?, remote: String? = nil) {
        self.word = word
        self.remote = remote
    }
}

/// The way to answer one request, once. A responder that is released without an answer refuses. When the other side has gone, an answer is
/// dropped together with its descriptor.
public final class HandoverResponder {
    private weak var channel: HandoverChannel?
    private let id: Int64
    private var isAnswered = false

    init(_ channel: HandoverChannel, id: Int64) {
        self.channel = channel
        self.id = id
    }

    /// The stream is open.
    public func accept(path: HandoverPath) { answer(.opened(id: id, path: path.word, remote: path.remote), nil) }

    /// The connection is made; it is closed here once it has been sent.
    ///
    /// - Parameters:
    ///   - allowance: How many bytes the stream may carry, both ways together; nil does not limit it.
    ///   - onEnd: Called once, with the bytes that were carried, when the stream is over, or the other side has gone.
    public func accept(handing connection: consuming FileDescriptor, allowance: Int64? = nil, onEnd: ((Int64) -> Void)? = nil) {
        if let onEnd { channel?.awaitEnd(of: id, onEnd) }
        answer(.opened(id: id, bytes: allowance), DescriptorOwner(connection))
    }

    public func refuse(_ reason: String) { refuse(HandoverRefusal(reason)) }

    public func refuse(_ refusal: HandoverRefusal) { answer(.failed(id: id, refusal), nil) }

    private func answer(_ message: HandoverMessage, _ descriptor: DescriptorOwner?) {
        guard !isAnswered else { return }
        isAnswered = true
        channel?.answer(id, message, descriptor)
    }

    deinit { refuse("the request was dropped") }
}

/// What a bridge has said of a stream that it has given a connection, and the way to tell it that the stream is over.
public struct HandoverStream {
    /// How many bytes may be carried, both ways together; nil is no limit.
    public let allowance: Int64?
    private weak var channel: HandoverChannel?
    private let id: Int64

    static var none: HandoverStream { HandoverStream(nil, id: 0, allowance: nil) }

    init(_ channel: HandoverChannel?, id: Int64, allowance: Int64?) {
        self.channel = channel
        self.id = id
        self.allowance = allowance
    }

    /// Call it once when the stream is over.
    public func end(bytes: Int64) { channel?.tellEnd(of: id, bytes: bytes) }
}
