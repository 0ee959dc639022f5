import Crypto
import EventLoop
import Platform

/// The bridge beside a client: accepts TCP connections and hands each over to `quic-dial`.
///
/// While no `quic-dial` is connected, connections are held for ``holdTime``, so that a client may start at the same time and a restart of
/// `quic-dial` goes unnoticed. A connection that gets no stream is reset at once.
public final class ClientBridge {
    /// What happened, for the log.
    public enum Event {
        case handover(HandoverListener.Event)
        case opened(client: SocketAddress?, path: String?)
        case refused(client: SocketAddress?, reason: String)
        case acceptFailed(SystemError)
    }

    /// Long enough for `quic-dial` to start or restart, shorter than clients' patience.
    public static let holdTime: Duration = .seconds(10)
    /// Connections held at most; further ones are refused.
    public static let mostHeld = 256

    private struct Held {
        let connection: DescriptorOwner
        let deadline: Instant
    }

    private let peer: PublicKey?
    private let holdTime: Duration
    private let onEvent: (Event) -> Void
    private var handover: HandoverListener?
    private var acceptor: Acceptor?
    private var timer: Timer?
    /// Oldest first.
    private var held: [Held] = []

    /// Connections that got a stream, and those that did not.
    public private(set) var opened = 0
    public private(set) var refused = 0
    /// Connections that wait for `quic-dial`.
    public var heldCount: Int { held.count }

    /// Where it really listens.
    public let address: SocketAddress

    /// - Parameters:
    ///   - listener: A listening TCP socket.
    ///   - peer: To whom the streams go; nil leaves it to `quic-dial`.
    /// - Throws: ``SystemError`` as ``HandoverListener``.
    public init(
        on loop: EventLoop, socketPath: String, listener: consuming FileDescriptor, peer: PublicKey?,
        holdTime: Duration = ClientBridge.holdTime, onEvent: @escaping (Event) -> Void
    ) throws(SystemError) {
        self.peer = peer
        self.holdTime = holdTime
        self.onEvent = onEvent
        address = try Sockets.localAddress(listener.number)
        handover = try HandoverListener(on: loop, path: socketPath, service: .none) { [weak self] event in
            onEvent(.handover(event))
            if case .connected = event { self?.handHeldOver() }
        }
        timer = Timer(on: loop) { [weak self] in self?.expire() }
        acceptor = try Acceptor(
            on: loop, listener, onError: { onEvent(.acceptFailed($0)) },
            onConnection: { [weak self] (connection: consuming FileDescriptor) in self?.take(DescriptorOwner(connection)) })
    }

    /// Stops listening, resets the connections that have no stream yet and removes the socket file. Connections that were handed over go on.
    public func close() {
        acceptor = nil
        handover?.close()
        let left = held
        held = []
        for one in left { refuse(one.connection, "the bridge is closing") }
    }

    private func take(_ connection: DescriptorOwner) {
        if let dialler = handover?.newest { return handOver(connection, to: dialler) }
        guard held.count < Self.mostHeld else { return refuse(connection, "\(Self.mostHeld) connections wait for quic-dial already") }
        held.append(Held(connection: connection, deadline: .now + holdTime))
        if held.count == 1 { timer?.start(after: holdTime) }
    }

    private func handHeldOver() {
        guard let dialler = handover?.newest else { return }
        let waiting = held
        held = []
        for one in waiting { handOver(one.connection, to: dialler) }
    }

    private func handOver(_ connection: DescriptorOwner, to dialler: HandoverChannel) {
        dialler.handOver(connection.number, HandoverRequest(peer: peer)) { [weak self] result in
            switch result {
            case .success(let path):
                self?.opened += 1
                self?.onEvent(.opened(client: Self.client(connection), path: path.word))
            case .failure(let error): self?.refuse(connection, "\(error)")
            }
        }
    }

    private func expire() {
        let now = Instant.now
        while let first = held.first, first.deadline <= now {
            held.removeFirst()
            refuse(first.connection, "no quic-dial has connected to the bridge within \(holdTime.components.seconds) s")
        }
        if let first = held.first { timer?.start(after: first.deadline - now) }
    }

    private func refuse(_ connection: DescriptorOwner, _ reason: String) {
        let client = Self.client(connection)
        Sockets.resetOnClose(connection.number)
        _ = connection.take()
        refused += 1
        onEvent(.refused(client: client, reason: reason))
    }

    private static func client(_ connection: DescriptorOwner) -> SocketAddress? { try? Sockets.remoteAddress(connection.number) }
}
