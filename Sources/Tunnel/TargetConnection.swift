import EventLoop
import Glibc
import Platform

extension HostAndPort {
    /// The addresses; a numeric one is not looked up anywhere and comes at once. The error's code is `ENOENT` when there is
    /// no such name, else the resolver's.
    public func resolve(on loop: EventLoop, completion: @escaping (Result<[SocketAddress], SystemError>) -> Void) {
        if let ip = IPAddress(host) { return completion(.success([SocketAddress(ip: ip, port: port)])) }
        NameLookup.addresses(of: host, port: port, on: loop, completion: completion)
    }
}

/// Connects to a target, trying its addresses in turn. It keeps itself until it is done.
public final class TargetConnection {
    /// For all addresses together: a client is waiting.
    public static let timeout: Duration = .seconds(10)

    private let loop: EventLoop
    private let source: SocketAddress?
    private let completion: (consuming Result<FileDescriptor, SystemError>) -> Void
    private var addresses: ArraySlice<SocketAddress> = []
    private var timeForEach = TargetConnection.timeout
    private var socket: DescriptorOwner?
    private var watcher: Watcher?
    private var timer: Timer?

    /// - Parameters:
    ///   - source: Where connections to 127.0.0.0/8 come from; nil leaves it to the system.
    ///   - isPermitted: Which addresses may be connected to. When there are only others, the error is `EACCES`.
    ///   - completion: Called once, perhaps at once. The error is that of the last address; `ETIMEDOUT` also when it took too long.
    public static func connect(
        to target: HostAndPort, fromLoopback source: SocketAddress? = nil, onlyTo isPermitted: @escaping (IPAddress) -> Bool = { _ in true },
        on loop: EventLoop, completion: @escaping (consuming Result<FileDescriptor, SystemError>) -> Void
    ) {
        let connection = TargetConnection(on: loop, fromLoopback: source, completion)
        target.resolve(on: loop) { result in
            switch result {
            case .failure(let error): connection.completion(.failure(error))
            case .success(let all):
                let addresses = all.filter { isPermitted($0.ip) }
                guard !addresses.isEmpty else { return connection.completion(.failure(SystemError(call: "connect", code: EACCES))) }
                connection.addresses = addresses[...]
                connection.timeForEach = timeout / addresses.count
                connection.tryNext(SystemError(call: "connect", code: EHOSTUNREACH))
            }
        }
    }

    private init(on loop: EventLoop, fromLoopback source: SocketAddress?, _ completion: @escaping (consuming Result<FileDescriptor, SystemError>) -> Void) {
        self.loop = loop
        self.source = source
        self.completion = completion
    }

    private func tryNext(_ error: SystemError) {
        abandon()
        guard let address = addresses.popFirst() else { return completion(.failure(error)) }
        do throws(SystemError) {
            let isLocal = !address.ip.isV6 && address.ip.isLoopback
            let socket = DescriptorOwner(try Sockets.tcpConnect(to: address, from: isLocal ? source : nil))
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
