import Crypto
import EventLoop
import Platform

/// The bridge beside a server: connects to its target for each stream that `quic-listen` asks for, if the access list allows the peer.
public final class ServerBridge {
    /// What happened, for the log.
    public enum Event {
        case handover(HandoverListener.Event)
        /// A peer is not on the access list; told once for each peer.
        case denied(PublicKey?)
        /// The target can't be reached; told when that begins or its reason changes.
        case targetFailed(SystemError)
        /// The target can be reached again.
        case targetReached
    }

    /// Denied peers that are remembered so as not to be told twice; keys cost nothing, so there may be any number.
    private static let mostDenied = 1024

    private let loop: EventLoop
    private let target: HostAndPort
    private let access: AccessList?
    private let onEvent: (Event) -> Void
    private var listener: HandoverListener?
    private var denied: Set<PublicKey?> = []
    private var failure: SystemError?

    /// - Parameter access: Who may connect; nil for anybody.
    /// - Throws: ``SystemError`` as ``HandoverListener``.
    public init(
        on loop: EventLoop, socketPath: String, target: HostAndPort, access: AccessList?, onEvent: @escaping (Event) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.target = target
        self.access = access
        self.onEvent = onEvent
        listener = try HandoverListener(
            on: loop, path: socketPath, service: .connections { [weak self] in self?.connect(for: $0, $1) },
            onEvent: { onEvent(.handover($0)) })
    }

    /// Ends all channels and removes the socket file. Connections that were handed over go on without the bridge.
    public func close() { listener?.close() }

    private func connect(for request: HandoverRequest, _ responder: HandoverResponder) {
        if let access, !(request.peer.map(access.allows) ?? false) {
            if denied.count >= Self.mostDenied { denied.removeAll() }
            if denied.insert(request.peer).inserted { onEvent(.denied(request.peer)) }
            return responder.refuse("access denied")
        }
        TargetConnection.connect(to: target, on: loop) { [self] (result: consuming Result<FileDescriptor, SystemError>) in
            switch consume result {
            case .success(let connection):
                responder.accept(handing: connection)
                if failure != nil { onEvent(.targetReached) }
                failure = nil
            case .failure(let error):
                responder.refuse("can't connect to \(target): \(error.reason)")
                if failure != error { onEvent(.targetFailed(error)) }
                failure = error
            }
        }
    }
}
