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
    public func accept(handing connection: consuming FileDescriptor) {
        answer(.opened(id: id, path: nil), DescriptorOwner(connection))
    }

    public func refuse(_ reason: String) { answer(.failed(id: id, reason: reason), nil) }

    private func answer(_ message: HandoverMessage, _ descriptor: DescriptorOwner?) {
        guard !isAnswered else { return }
        isAnswered = true
        channel?.answer(id, message, descriptor)
    }

    deinit { refuse("the request was dropped") }
}
