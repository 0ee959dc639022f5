import EventLoop
import Glibc
import Platform
import TLS
import Tunnel

/// TCP to an address, and TLS on it unless the bytes are to stay as they are.
final class DirectAttempt: Attempt {
    /// The TLS that is wanted.
    struct Security {
        var identity: TLSIdentity
        var name: String
        var trust: TLSTrust
    }

    private let loop: EventLoop
    private let path: UpstreamPath
    private let remote: String
    private let security: Security?
    private var completion: ((AttemptOutcome) -> Void)?
    private var socket: DescriptorOwner?
    private var watcher: Watcher?
    private var handshake: TLSHandshake?

    /// - Parameter completion: Called once, perhaps at once.
    init(
        on loop: EventLoop, to address: SocketAddress, _ path: UpstreamPath, remote: String, _ security: Security?,
        completion: @escaping (AttemptOutcome) -> Void
    ) {
        self.loop = loop
        self.path = path
        self.remote = remote
        self.security = security
        self.completion = completion
        do throws(SystemError) {
            let socket = DescriptorOwner(try Sockets.tcpConnect(to: address))
            self.socket = socket
            watcher = try Watcher(on: loop, socket.number) { [weak self] _ in self?.connected() }
            watcher?.wait(for: .writable)
        } catch { finish(.failed(reason: error.reason)) }
    }

    func cancel() {
        completion = nil
        watcher?.cancel()
        handshake?.cancel()
        (watcher, handshake, socket) = (nil, nil, nil)
    }

    private func connected() {
        guard let socket else { return }
        watcher?.cancel()
        watcher = nil
        if let error = Sockets.pendingError(socket.number) { return finish(.failed(reason: error.reason)) }
        guard let security else { return finish(.connected(socket, path: path, remote: remote)) }
        handshake = TLSHandshake(on: loop, socket, with: security.identity, named: security.name, by: security.trust) { [weak self] result in
            self?.secured(result)
        }
    }

    private func secured(_ result: Result<TLSSession, TLSError>) {
        guard let socket else { return }
        switch result {
        case .failure(let error): finish(error.outcome(path, remote))
        case .success(let session):
            do throws(SystemError) {
                finish(.connected(try TLSPipe.plainEnd(of: session, on: socket, on: loop), path: path, remote: remote))
            } catch { finish(.failed(reason: error.reason)) }
        }
    }

    private func finish(_ outcome: AttemptOutcome) {
        let completion = completion
        cancel()
        completion?(outcome)
    }
}
