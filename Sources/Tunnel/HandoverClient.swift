import EventLoop
import Glibc
import Platform

/// The end of the hand-over that `quic-listen` and `quic-dial` hold: connects to the bridge and connects again whenever it restarts.
///
/// While there is no bridge, requests fail at once, so that streams end with a clear reason rather than hang.
public final class HandoverClient {
    /// First pause before connecting again; it doubles up to ``longestPause``.
    static let shortestPause: Duration = .milliseconds(50)
    /// A connection attempt on a Unix socket costs next to nothing, and a person restarting the bridge is waiting.
    static let longestPause: Duration = .seconds(1)

    /// Whether there is a bridge.
    public enum State: Equatable, Sendable {
        case connected
        /// Not now; it is being tried again.
        case disconnected(reason: String)
    }

    private let loop: EventLoop
    private let path: String
    private let service: HandoverService
    private let onChange: (State) -> Void
    private var channel: HandoverChannel?
    private var timer: Timer?
    private var pause = HandoverClient.shortestPause
    private var connectedAt: Instant?
    public private(set) var state = State.disconnected(reason: "not connected yet")

    /// Connects when the loop runs, and for as long as the client is kept.
    ///
    /// - Parameters:
    ///   - path: The bridge's socket.
    ///   - service: ``HandoverService/streams(_:)`` for `quic-dial`, ``HandoverService/none`` for `quic-listen`.
    ///   - onChange: Called when ``state`` has changed, once for a row of attempts that fail for the same reason.
    public init(on loop: EventLoop, path: String, service: HandoverService, onChange: @escaping (State) -> Void) {
        self.loop = loop
        self.path = path
        self.service = service
        self.onChange = onChange
        timer = Timer(on: loop) { [weak self] in self?.connect() }
        timer?.start(after: .zero)
    }

    /// Asks the bridge for a connection to its target.
    ///
    /// - Parameter completion: Called once, perhaps at once, with the connected, non-blocking socket.
    public func requestConnection(
        _ request: HandoverRequest, completion: @escaping (consuming Result<FileDescriptor, HandoverError>, HandoverStream) -> Void
    ) {
        if let channel { return channel.requestConnection(request, completion: completion) }
        guard case .disconnected(let reason) = state else { return completion(.failure(.closed), .none) }
        completion(.failure(.notConnected("no bridge at \(path): \(reason)")), .none)
    }

    /// Ends it for good. Requests under way fail.
    public func close() {
        timer?.stop()
        timer = nil
        channel?.close()
        channel = nil
        state = .disconnected(reason: "closed")
    }

    private func connect() {
        do throws(SystemError) {
            let socket = try Sockets.unixConnect(path: path)
            // A socket in a folder that others can write to may be anybody's. root may use whatever it was pointed at.
            let user = try Sockets.peerUser(socket.number)
            guard user == geteuid() || user == 0 || geteuid() == 0 else {
                return retry("it belongs to another user")
            }
            channel = try HandoverChannel(on: loop, socket, service: service) { [weak self] ending in
                self?.channel = nil
                self?.retry(ending.description)
            }
        } catch { return retry(error.reason) }
        connectedAt = .now
        change(to: .connected)
    }

    private func retry(_ reason: String) {
        // A bridge that closes at once is no better than none.
        if let connectedAt, Instant.now - connectedAt > Self.longestPause { pause = Self.shortestPause }
        connectedAt = nil
        timer?.start(after: pause)
        pause = min(pause * 2, Self.longestPause)
        change(to: .disconnected(reason: reason))
    }

    private func change(to new: State) {
        guard state != new else { return }
        state = new
        onChange(new)
    }
}
