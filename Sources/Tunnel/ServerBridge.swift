import Crypto
import EventLoop
import Paths
import Platform
import QUIC

/// The bridge beside a server: connects to a target for each stream that `quic-listen` asks for, as ``AccessControl`` decides.
public final class ServerBridge {
    /// What happened, for the log.
    public enum Event {
        case handover(HandoverListener.Event)
        /// A peer was refused a stream; each reason is told once for each peer.
        case denied(PublicKey?, AccessControl.Denial)
        /// A target can't be reached; told when that begins or its reason changes.
        case targetFailed(HostAndPort, SystemError)
        /// A target can be reached again.
        case targetReached(HostAndPort)
    }

    private struct Refusal: Hashable {
        var peer: PublicKey?
        var reason: AccessControl.Denial
    }

    /// Refusals that are remembered so as not to be told twice; keys cost nothing, so there may be any number.
    private static let mostRefusals = 1024
    /// Where connections to this machine come from: a homeserver lets 127.0.0.1 do more than others (spec/pkarr-wire.md, section 8).
    private static let source = SocketAddress("127.0.0.2:0")!

    /// Streams that got a connection to their target, and those that did not.
    public private(set) var served = 0
    public private(set) var refusals = Refusals()

    private let loop: EventLoop
    private var control: AccessControl
    private let tellsPeer: Bool
    private let onEvent: (Event) -> Void
    private var listener: HandoverListener?
    private var told: Set<Refusal> = []
    private var failures: [HostAndPort: SystemError] = [:]

    /// - Parameter tellsPeer: Whether the targets are told of the peer by the PROXY protocol.
    /// - Throws: ``SystemError`` as ``HandoverListener``.
    public init(
        on loop: EventLoop, socketPath: String, control: AccessControl, tellsPeer: Bool = false, onEvent: @escaping (Event) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.control = control
        self.tellsPeer = tellsPeer
        self.onEvent = onEvent
        listener = try HandoverListener(
            on: loop, path: socketPath, service: .connections { [weak self] in self?.connect(for: $0, $1) },
            onEvent: { onEvent(.handover($0)) })
    }

    /// Ends all channels and removes the socket file. Connections that were handed over go on without the bridge.
    public func close() { listener?.close() }

    /// Takes another access list. It counts for the streams to come; those that are open go on.
    public func setList(_ list: AccessList) {
        control.list = list
        told = []
    }

    private func connect(for request: HandoverRequest, _ responder: HandoverResponder) {
        switch control.admit(request.peer, alpn: request.alpn, now: .now, time: WallClock.seconds) {
        case .denied(let reason):
            refusals.count(reason.word)
            if told.count >= Self.mostRefusals { told.removeAll() }
            if told.insert(Refusal(peer: request.peer, reason: reason)).inserted { onEvent(.denied(request.peer, reason)) }
            responder.refuse("\(reason)")
        case .allowed(let target, let allowance, let isCounted):
            let onEnd: ((Int64) -> Void)? = isCounted ? { [weak self] in self?.control.ended(request.peer!, bytes: $0) } : nil
            connect(for: request, to: target, allowance, onEnd, responder)
        }
    }

    private func connect(
        for request: HandoverRequest, to target: HostAndPort, _ allowance: Int64?, _ onEnd: ((Int64) -> Void)?, _ responder: HandoverResponder
    ) {
        TargetConnection.connect(to: target, fromLoopback: Self.source, on: loop) { [self] (result: consuming Result<FileDescriptor, SystemError>) in
            switch consume result {
            case .success(let connection):
                served += 1
                if tellsPeer { tell(connection.number, of: request) }
                responder.accept(handing: connection, allowance: allowance, onEnd: onEnd)
                if failures.removeValue(forKey: target) != nil { onEvent(.targetReached(target)) }
            case .failure(let error):
                refusals.count("target")
                onEnd?(0)
                responder.refuse("can't connect to \(target): \(error.reason)")
                if failures.updateValue(error, forKey: target) != error { onEvent(.targetFailed(target, error)) }
            }
        }
    }

    /// Writes the PROXY header, which a connection that is new has room for. One that has died meanwhile shows that to whoever uses it.
    private func tell(_ connection: Int32, of request: HandoverRequest) {
        let source = request.path == NetworkPath.directWord ? request.remote.flatMap { SocketAddress($0) } : nil
        try? writeAll(connection, ProxyProtocol.header(source: source, target: try? Sockets.remoteAddress(connection), peer: request.peer))
    }
}
