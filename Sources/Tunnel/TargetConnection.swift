import EventLoop
import Glibc
import Platform

/// `HOST:PORT`, `1.2.3.4:PORT` or `[v6]:PORT`: where to connect to or listen at.
public struct HostAndPort: Equatable, Sendable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    /// Nil for anything else, also for an IPv6 address without brackets.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
        else { return nil }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard IPAddress(host)?.isV6 == true else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
        self.host = String(host)
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The addresses; a numeric one is not looked up anywhere and comes at once. The error's code is `ENOENT` when there is
    /// no such name, else the resolver's.
    public func resolve(on loop: EventLoop, completion: @escaping (Result<[SocketAddress], SystemError>) -> Void) {
        if let ip = IPAddress(host) { return completion(.success([SocketAddress(ip: ip, port: port)])) }
        NameLookup.addresses(of: host, port: port, on: loop, completion: completion)
    }
}

/// Connects to a target, trying its addresses in turn. It keeps itself until it is done.
final class TargetConnection {
    /// For all addresses together. The target is this machine or a near one, and a client is waiting.
    static let timeout: Duration = .seconds(10)

    private let loop: EventLoop
    private let completion: (consuming Result<FileDescriptor, SystemError>) -> Void
    private var addresses: ArraySlice<SocketAddress> = []
    private var timeForEach = TargetConnection.timeout
    private var socket: DescriptorOwner?
    private var watcher: Watcher?
    private var timer: Timer?

    /// - Parameter completion: Called once, perhaps at once. The error is that of the last address; `ETIMEDOUT` also when it took too long.
    static func connect(
        to target: HostAndPort, on loop: EventLoop, completion: @escaping (consuming Result<FileDescriptor, SystemError>) -> Void
    ) {
        let connection = TargetConnection(on: loop, completion)
        target.resolve(on: loop) { result in
            switch result {
            case .failure(let error): connection.completion(.failure(error))
            case .success(let addresses):
                connection.addresses = addresses[...]
                connection.timeForEach = timeout / max(1, addresses.count)
                connection.tryNext(SystemError(call: "connect", code: EHOSTUNREACH))
            }
        }
    }

    private init(on loop: EventLoop, _ completion: @escaping (consuming Result<FileDescriptor, SystemError>) -> Void) {
        self.loop = loop
        self.completion = completion
    }

    private func tryNext(_ error: SystemError) {
        abandon()
        guard let address = addresses.popFirst() else { return completion(.failure(error)) }
        do throws(SystemError) {
            let socket = DescriptorOwner(try Sockets.tcpConnect(to: address))
            self.socket = socket
            // A target on this machine has answered by now.
            if Sockets.isConnectFinished(socket.number) { return finished() }
            // The closures keep this object until abandon() drops them.
            watcher = try Watcher(on: loop, socket.number) { [self] _ in finished() }
            watcher?.wait(for: .writable)
            timer = Timer(on: loop) { [self] in tryNext(SystemError(call: "connect", code: ETIMEDOUT)) }
            timer?.start(after: timeForEach)
        } catch { tryNext(error) }
    }

    private func finished() {
        guard let socket else { return }
        if let error = Sockets.pendingError(socket.number) { return tryNext(error) }
        let connected = socket.take()
        abandon()
        if let connected { completion(.success(connected)) }
    }

    private func abandon() {
        watcher?.cancel()
        watcher = nil
        timer = nil
        socket = nil
    }
}
