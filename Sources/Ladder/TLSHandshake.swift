import EventLoop
import Glibc
import Platform
import TLS
import Tunnel

/// The client's side of a TLS handshake on a connected socket.
final class TLSHandshake {
    private let socket: DescriptorOwner
    private var session: TLSSession?
    private var watcher: Watcher?
    private var completion: ((Result<TLSSession, TLSError>) -> Void)?

    /// - Parameter completion: Called once, perhaps at once, unless the handshake is released or cancelled first.
    init(
        on loop: EventLoop, _ socket: DescriptorOwner, with identity: TLSIdentity, named name: String, by trust: TLSTrust,
        completion: @escaping (Result<TLSSession, TLSError>) -> Void
    ) {
        self.socket = socket
        self.completion = completion
        do {
            session = try TLSSession(to: identity, named: name, by: trust, socket: socket.number)
            watcher = try Watcher(on: loop, socket.number) { [weak self] _ in self?.goOn() }
            goOn()
        } catch { finish(.failure(error as? TLSError ?? .badSocket)) }
    }

    deinit { cancel() }

    func cancel() {
        completion = nil
        watcher?.cancel()
        watcher = nil
        session = nil
    }

    private func goOn() {
        guard let session else { return }
        do throws(TLSError) {
            if try session.handshake() { return finish(.success(session)) }
            watcher?.wait(for: session.wantsToWrite ? .writable : .readable)
        } catch { finish(.failure(error)) }
    }

    private func finish(_ result: Result<TLSSession, TLSError>) {
        let completion = completion
        cancel()
        completion?(result)
    }
}
