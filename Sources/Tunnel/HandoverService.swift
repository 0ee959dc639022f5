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
    ///
    /// - Parameter path: Which path carries it: `direct`, `punched` or `relay`.
    public func accept(path: String?) { answer(.opened(id: id, path: path), nil) }

    /// The connection is made; it is closed here once it has been sent.
    ///
    /// - Parameters:
    ///   - allowance: How many bytes the stream may carry, both ways together; nil does not limit it.
    ///   - onEnd: Called once, with the bytes that were carried, when the stream is over, or the other side has gone.
    public func accept(handing connection: consuming FileDescriptor, allowance: Int64? = nil, onEnd: ((Int64) -> Void)? = nil) {
        if let onEnd { channel?.awaitEnd(of: id, onEnd) }
        answer(.opened(id: id, bytes: allowance), DescriptorOwner(connection))
    }

    public func refuse(_ reason: String) { answer(.failed(id: id, reason: reason), nil) }

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
