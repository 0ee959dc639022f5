import EventLoop
import Glibc
import Platform
import TLS
import Tunnel

/// One way being tried.
protocol Attempt: AnyObject {
    /// Ends it; it says nothing any more.
    func cancel()
}

/// What became of a way.
enum AttemptOutcome {
    /// A socket with plain bytes, non-blocking.
    case connected(DescriptorOwner, path: UpstreamPath, remote: String)
    /// The addresses of a domain.
    case found([SocketAddress])
    case failed(reason: String)
    /// Why each of several ways failed; whether a relay turned us away.
    case failedWays([UpstreamAttempt], isRefusal: Bool)
    /// Who answered is somebody else.
    case impostor(path: UpstreamPath, remote: String, reason: String)
}

extension TLSError {
    /// What to say of a handshake that failed.
    func outcome(_ path: UpstreamPath, _ remote: String) -> AttemptOutcome {
        isImpostor ? .impostor(path: path, remote: remote, reason: description) : .failed(reason: "TLS: \(description)")
    }
}

extension TLSPipe {
    /// The plain end of a new pipe.
    static func plainEnd(of session: TLSSession, on wire: DescriptorOwner, on loop: EventLoop) throws(SystemError) -> DescriptorOwner {
        let (inner, outer) = try Sockets.pair()
        let (innerEnd, outerEnd) = (DescriptorOwner(FileDescriptor(owning: inner)), DescriptorOwner(FileDescriptor(owning: outer)))
        for number in [inner, outer] { try Sockets.setNonblocking(number) }
        try run(session, on: wire, and: innerEnd, on: loop)
        return outerEnd
    }
}
