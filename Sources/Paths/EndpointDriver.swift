import EventLoop
import Glibc
import Platform
import QUIC

/// Runs a QUIC endpoint on UDP sockets and the event loop.
public final class EndpointDriver: DatagramSink {
    public let endpoint: Endpoint
    private let loop: EventLoop
    private var sockets: [UDPSocket] = []
    private var timer: Timer!
    private var beforeWaiting: BeforeWaiting!
    private var armed: Instant?

    public init(_ endpoint: Endpoint, on loop: EventLoop) {
        self.endpoint = endpoint
        self.loop = loop
        timer = Timer(on: loop) { [unowned self] in
            armed = nil
            endpoint.handleDeadline(now: .now)
        }
        beforeWaiting = BeforeWaiting(on: loop) { [unowned self] in flush() }
    }

    /// Binds one more socket; connections may use it from then on.
    ///
    /// - Returns: Its number for ``NetworkPath/socket``.
    @discardableResult
    public func bind(_ address: SocketAddress) throws(SystemError) -> Int {
        let socket = try UDPSocket(
            on: loop, bind: address, index: sockets.count,
            receiver: { [unowned self] datagram, path, ecn in endpoint.receive(datagram, on: path, ecn: ecn, now: .now) })
        sockets.append(socket)
        return sockets.count - 1
    }

    /// Binds a free port on all addresses of both families, the same for both if it can be had. A system without one of the families is
    /// served over the other.
    public func bindAnywhere() throws(SystemError) {
        do throws(SystemError) { try bind(SocketAddress("0.0.0.0:0")!) } catch {
            try bind(SocketAddress("[::]:0")!)
            return
        }
        let port = localAddresses.last?.port ?? 0
        if (try? bind(SocketAddress(ip: IPAddress("::")!, port: port))) == nil { _ = try? bind(SocketAddress("[::]:0")!) }
    }

    /// The addresses of the sockets, in the order they were bound.
    public var localAddresses: [SocketAddress] { sockets.map(\.localAddress) }

    /// The path to an address over the first socket of its family; nil if there is none.
    public func path(to remote: SocketAddress) -> NetworkPath? {
        sockets.firstIndex { $0.localAddress.ip.isV6 == remote.ip.isV6 }.map { NetworkPath(socket: $0, remote: remote) }
    }

    public func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool {
        sockets[path.socket].send(bytes, segmentSize: segmentSize, on: path, ecn: ecn)
    }

    /// Writes what is due and sets the timer for what will be. Runs by itself before the loop waits; call it to get the last packets out
    /// before the process ends.
    public func flush() {
        let now = Instant.now
        // Deadlines that have passed while packets were read need not wait for the timer.
        if let deadline = endpoint.deadline, deadline <= now { endpoint.handleDeadline(now: now) }
        _ = endpoint.flush(to: self, now: now)
        guard let deadline = endpoint.deadline else {
            if armed != nil { timer.stop() }
            armed = nil
            return
        }
        // A timer that fires early costs one look; setting it anew for every packet costs more.
        if let armed, armed <= deadline, armed > now { return }
        armed = deadline
        timer.start(after: max(.zero, deadline - now))
    }
}
