import EventLoop
import Iroh
import Platform
import TLS
import Tunnel

/// A QUIC stream, which `quic-dial` is asked for; Pubky TLS on it if that is wanted inside the tunnel too.
final class TunnelAttempt: Attempt {
    /// Long enough for `quic-dial` to start, or to start again.
    static let patience: Duration = .seconds(5)

    private let loop: EventLoop
    private let endpoint: EndpointAddress
    private let trust: TLSTrust?
    private var completion: ((AttemptOutcome) -> Void)?
    private var timer: Timer?
    private var isAsked = false
    private var near: DescriptorOwner?
    private var handshake: TLSHandshake?
    private var path = UpstreamPath.direct
    private var remote = ""

    /// - Parameters:
    ///   - trust: For Pubky TLS inside; nil for none.
    ///   - completion: Called once, perhaps at once.
    init(on loop: EventLoop, to endpoint: EndpointAddress, inside trust: TLSTrust?, completion: @escaping (AttemptOutcome) -> Void) {
        self.loop = loop
        self.endpoint = endpoint
        self.trust = trust
        self.completion = completion
        timer = Timer(on: loop) { [weak self] in self?.finish(.failed(reason: "no quic-dial has connected to the socket")) }
        timer?.start(after: Self.patience)
    }

    func cancel() {
        completion = nil
        timer = nil
        handshake?.cancel()
        (handshake, near) = (nil, nil)
    }

    private var isPlaced: Bool { !endpoint.addresses.isEmpty || !endpoint.relayURLs.isEmpty }

    /// Asks for the stream, once. Until there is a dialler, the attempt waits.
    func ask(_ dialler: HandoverChannel) {
        guard completion != nil, !isAsked else { return }
        isAsked = true
        timer = nil
        do throws(SystemError) {
            let (near, far) = try Sockets.pair()
            let farEnd = DescriptorOwner(FileDescriptor(owning: far))
            self.near = DescriptorOwner(FileDescriptor(owning: near))
            try Sockets.setNonblocking(near)
            dialler.handOver(far, HandoverRequest(peer: endpoint.id, endpoint: isPlaced ? endpoint : nil)) { [weak self] result in
                // The dialler has its own by now.
                _ = farEnd.take()
                self?.answered(result)
            }
        } catch { finish(.failed(reason: error.reason)) }
    }

    private func answered(_ result: Result<HandoverPath, HandoverError>) {
        guard let near else { return }
        switch result {
        case .failure(.refused(let refusal)): finish(outcome(refusal))
        case .failure(let error): finish(.failed(reason: "\(error)"))
        case .success(let path):
            self.path = path.word.flatMap(UpstreamPath.init(rawValue:)) ?? .direct
            remote = path.remote ?? ""
            guard let trust else { return finish(.connected(near, path: self.path, remote: remote)) }
            handshake = TLSHandshake(on: loop, near, with: .key(endpoint.id.bytes), named: endpoint.id.zBase32, by: trust) { [weak self] in
                self?.secured($0)
            }
        }
    }

    private func secured(_ result: Result<TLSSession, TLSError>) {
        guard let near else { return }
        switch result {
        case .failure(let error): finish(error.outcome(path, remote))
        case .success(let session):
            do throws(SystemError) {
                finish(.connected(try TLSPipe.plainEnd(of: session, on: near, on: loop), path: path, remote: remote))
            } catch { finish(.failed(reason: error.reason)) }
        }
    }

    private func outcome(_ refusal: HandoverRefusal) -> AttemptOutcome {
        let attempts = refusal.attempts.map {
            UpstreamAttempt(path: UpstreamPath(rawValue: $0.path) ?? .direct, remote: $0.remote, reason: $0.reason, after: $0.after)
        }
        if refusal.status == LadderError.Status.wrongPeer.rawValue {
            let way = Way.tunnel(endpoint)
            return .impostor(path: way.path, remote: way.remote, reason: refusal.reason)
        }
        if attempts.isEmpty { return .failed(reason: refusal.reason) }
        return .failedWays(attempts, isRefusal: refusal.status == LadderError.Status.permission.rawValue)
    }

    private func finish(_ outcome: AttemptOutcome) {
        let completion = completion
        cancel()
        completion?(outcome)
    }
}
