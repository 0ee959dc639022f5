import EventLoop
import Glibc
import Platform

/// The bridge's end of the hand-over: listens on the socket path and keeps a channel for each command that connects.
public final class HandoverListener {
    /// A bridge serves one command, and its successor during a restart; many more are a mistake.
    public static let mostChannels = 16

    /// What happened, for the log and for those who hand sockets over.
    public enum Event {
        case connected
        case disconnected(HandoverEnding)
        /// A connection was turned away, and why.
        case turnedAway(reason: String)
        case acceptFailed(SystemError)
    }

    private let loop: EventLoop
    private let path: String
    private let identity: SocketFileIdentity?
    private let service: HandoverService
    private let onEvent: (Event) -> Void
    private var acceptor: Acceptor?
    private var channels: [HandoverChannel] = []

    /// - Throws: ``SystemError``, `EADDRINUSE` when another process listens on the path or it names no socket.
    public init(
        on loop: EventLoop, path: String, service: HandoverService, onEvent: @escaping (Event) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.path = path
        self.service = service
        self.onEvent = onEvent
        let listener = try Sockets.unixListener(path: path)
        identity = SocketFileIdentity(path)
        acceptor = try Acceptor(
            on: loop, listener, onError: { onEvent(.acceptFailed($0)) },
            onConnection: { [weak self] (connection: consuming FileDescriptor) in self?.add(connection) })
    }

    /// The channel of the command that connected last: after a restart, of the new process while the old one still ends.
    public var newest: HandoverChannel? { channels.last }

    /// Closes all channels and removes the socket file, unless another process has put its own there.
    public func close() {
        acceptor = nil
        for channel in channels { channel.close() }
        channels = []
        if let identity, identity == SocketFileIdentity(path) { unlink(path) }
    }

    private func add(_ connection: consuming FileDescriptor) {
        guard let user = try? Sockets.peerUser(connection.number), user == geteuid() || user == 0 else {
            return onEvent(.turnedAway(reason: "it belongs to another user"))
        }
        guard channels.count < Self.mostChannels else {
            return onEvent(.turnedAway(reason: "\(Self.mostChannels) are connected already"))
        }
        weak var added: HandoverChannel?
        do throws(SystemError) {
            let channel = try HandoverChannel(on: loop, connection, service: service) { [weak self] ending in
                guard let self else { return }
                channels.removeAll { $0 === added }
                onEvent(.disconnected(ending))
            }
            added = channel
            channels.append(channel)
        } catch { return onEvent(.acceptFailed(error)) }
        onEvent(.connected)
    }
}

/// Tells a socket file from another one at the same path.
struct SocketFileIdentity: Equatable {
    private let device: UInt64
    private let number: UInt64

    /// Nil when there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
    }
}
