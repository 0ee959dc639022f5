import Crypto
import EventLoop
import HTTPGate
import Platform

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
    private let gated: GatedStreams

    /// - Parameter tellsPeer: Whether the targets are told of the peer by the PROXY protocol.
    /// - Throws: ``SystemError`` as ``HandoverListener``.
    public init(
        on loop: EventLoop, socketPath: String, control: AccessControl, tellsPeer: Bool = false, onEvent: @escaping (Event) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.control = control
        self.tellsPeer = tellsPeer
        self.onEvent = onEvent
        gated = GatedStreams(on: loop)
        listener = try HandoverListener(
            on: loop, path: socketPath, service: .connections { [weak self] in self?.connect(for: $0, $1) },
            onEvent: { onEvent(.handover($0)) })
    }

    /// Streams that pass through here at present.
    public var passing: Int { gated.count }
    /// Requests that were answered here and not by their server, by status.
    public var answers: [Int: Int] { gated.answers }

    /// Ends all channels and removes the socket file. Connections that were handed over go on without the bridge; streams that pass through
    /// here end.
    public func close() {
        listener?.close()
        gated.close()
    }

    /// Takes another access list. It counts for the streams to come; those that are open go on.
    public func setList(_ list: AccessList) {
        control.list = list
        told = []
    }

    private func connect(for request: HandoverRequest, _ responder: HandoverResponder) {
        switch control.admit(request.peer, alpn: request.alpn, now: .now, time: WallClock.seconds) {
        case .denied(let reason):
            deny(request.peer, reason)
            responder.refuse("\(reason)")
        case .allowed(let service, let allowance, let isCounted):
            let admission = Admission(
                request: request, responder: responder, allowance: allowance,
                onEnd: isCounted ? { [weak self] in self?.control.ended(request.peer, bytes: $0) } : { _ in })
            switch service {
            case .transparent(let target): hand(target, admission)
            case .http(let target, let tls): gate(.init(http: target, tls: tls), admission)
            }
        }
    }

    private func deny(_ peer: PublicKey?, _ reason: AccessControl.Denial) {
        refusals.count(reason.word)
        if told.count >= Self.mostRefusals { told.removeAll() }
        if told.insert(Refusal(peer: peer, reason: reason)).inserted { onEvent(.denied(peer, reason)) }
    }
}

/// A stream that may be served.
private struct Admission {
    let request: HandoverRequest
    let responder: HandoverResponder
    let allowance: Int64?
    /// Called with the bytes that were carried.
    let onEnd: (Int64) -> Void

    func refuse(_ reason: String) {
        onEnd(0)
        responder.refuse(reason)
    }
}

extension ServerBridge {
    /// Hands over a connection to the target.
    private func hand(_ target: HostAndPort, _ admission: Admission) {
        connect(to: target, for: admission.request) { result in
            switch result {
            case .success(let connection):
                guard let connection = connection.take() else { return }
                admission.responder.accept(handing: connection, allowance: admission.allowance, onEnd: admission.onEnd)
            case .failure(let error): admission.refuse("can't connect to \(target): \(error.reason)")
            }
        }
    }

    /// Hands over one end of a stream that passes through here.
    private func gate(_ targets: GatedStream.Targets, _ admission: Admission) {
        let request = admission.request
        do throws(SystemError) {
            try gated.add(
                to: targets, ClientFields(key: request.peer?.zBase32, address: request.address.map { "\($0.ip)" }),
                hand: { (socket: consuming FileDescriptor, hasGone: @escaping () -> Void) in
                    admission.responder.accept(handing: socket, allowance: admission.allowance) { bytes in
                        admission.onEnd(bytes)
                        hasGone()
                    }
                },
                connect: { [weak self] in self?.connect(to: $0, for: request, $1) },
                onDenied: { [weak self] in self?.deny(request.peer, $0) })
        } catch {
            refusals.count("full")
            admission.refuse("there is no room for another stream: \(error.reason)")
        }
    }

    private func connect(to target: HostAndPort, for request: HandoverRequest, _ completion: @escaping (Result<DescriptorOwner, SystemError>) -> Void) {
        TargetConnection.connect(to: target, fromLoopback: Self.source, on: loop) { [self] (result: consuming Result<FileDescriptor, SystemError>) in
            switch consume result {
            case .success(let connection):
                served += 1
                if tellsPeer { tell(connection.number, of: request) }
                if failures.removeValue(forKey: target) != nil { onEvent(.targetReached(target)) }
                completion(.success(DescriptorOwner(connection)))
            case .failure(let error):
                refusals.count("target")
                if failures.updateValue(error, forKey: target) != error { onEvent(.targetFailed(target, error)) }
                completion(.failure(error))
            }
        }
    }

    /// Writes the PROXY header, which a connection that is new has room for. One that has died meanwhile shows that to whoever uses it.
    private func tell(_ connection: Int32, of request: HandoverRequest) {
        try? writeAll(connection, ProxyProtocol.header(source: request.address, target: try? Sockets.remoteAddress(connection), peer: request.peer))
    }
}
