import CPlatform
import Glibc

private let streamType = Int32(SOCK_STREAM.rawValue)
private let datagramType = Int32(SOCK_DGRAM.rawValue)
private let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)
private let nonblocking = Int32(SOCK_NONBLOCK.rawValue)

/// Socket calls. Every socket made here is non-blocking and close-on-exec.
public enum Sockets {
    /// A UDP socket bound to an address. An IPv6 socket takes IPv6 only, so that both families can share a port.
    ///
    /// - Parameter receiveBuffer: Bytes that the kernel may hold until they are read, as far as it allows; nil for its default.
    public static func udp(bind address: SocketAddress, receiveBuffer: Int32? = nil) throws(SystemError) -> FileDescriptor {
        let socket = try open(address, datagramType)
        if let receiveBuffer { try setOption(socket.number, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        try bind(socket.number, address)
        return socket
    }

    /// Whether the kernel knows a way to an address. Sends nothing.
    public static func hasRoute(to address: SocketAddress) -> Bool {
        do throws(SystemError) {
            let socket = try open(address, datagramType)
            try systemCall("connect") { address.withSockaddr { connect(socket.number, $0, $1) } }
            return true
        } catch { return false }
    }

    /// A listening TCP socket.
    public static func tcpListener(bind address: SocketAddress) throws(SystemError) -> FileDescriptor {
        let socket = try open(address, streamType)
        try setOption(socket.number, SOL_SOCKET, SO_REUSEADDR, 1)
        try bind(socket.number, address)
        try systemCall("listen") { listen(socket.number, SOMAXCONN) }
        return socket
    }

    /// A TCP socket whose connection is under way; it is writable when done, see ``pendingError(_:)``.
    public static func tcpConnect(to address: SocketAddress, from source: SocketAddress? = nil) throws(SystemError) -> FileDescriptor {
        let socket = try open(address, streamType)
        if let source { try bind(socket.number, source) }
        do throws(SystemError) {
            try systemCall("connect") { address.withSockaddr { connect(socket.number, $0, $1) } }
        } catch where error.code == EINPROGRESS {}
        return socket
    }

    /// A UDP socket from a port of the kernel's choice that exchanges datagrams with one address only.
    public static func udpConnect(to address: SocketAddress) throws(SystemError) -> FileDescriptor {
        let socket = try open(address, datagramType)
        try systemCall("connect") { address.withSockaddr { connect(socket.number, $0, $1) } }
        return socket
    }

    /// A listening Unix socket of mode 0600. A socket file left by a dead process is replaced; a live one, or a file that is no socket,
    /// is `EADDRINUSE`.
    public static func unixListener(path: String) throws(SystemError) -> FileDescriptor {
        let socket = FileDescriptor(owning: try systemCall("socket") { Glibc.socket(AF_UNIX, streamType | closeOnExec | nonblocking, 0) })
        // Between binding and listening a socket looks dead. The lock keeps a second process from taking it for a left-over then.
        let folder = try FileDescriptor.open(parentFolder(of: path), O_RDONLY | O_DIRECTORY)
        try systemCall("flock") { flock(folder.number, LOCK_EX) }
        do throws(SystemError) { try bindUnix(socket.number, path) } catch where error.code == EADDRINUSE {
            guard isDeadSocket(path) else { throw error }
            unlink(path)
            try bindUnix(socket.number, path)
        }
        try systemCall("listen") { listen(socket.number, SOMAXCONN) }
        return socket
    }

    private static func isDeadSocket(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        do throws(SystemError) { _ = try unixConnect(path: path) } catch { return error.code == ECONNREFUSED }
        return false
    }

    /// Connects to a Unix socket.
    public static func unixConnect(path: String) throws(SystemError) -> FileDescriptor {
        let socket = FileDescriptor(owning: try systemCall("socket") { Glibc.socket(AF_UNIX, streamType | closeOnExec | nonblocking, 0) })
        var address = try unixAddress(path)
        try systemCall("connect") {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
        }
        return socket
    }

    /// Sends one datagram to a Unix socket. A path that begins with `@` is an abstract address (unix(7)).
    public static func sendUnixDatagram(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let socket = FileDescriptor(owning: try systemCall("socket") { Glibc.socket(AF_UNIX, datagramType | closeOnExec | nonblocking, 0) })
        var address = try unixAddress(path)
        var length = MemoryLayout<sockaddr_un>.size
        if path.hasPrefix("@") {
            // Its name is as long as is said, and not up to a zero.
            address.sun_path.0 = 0
            length = MemoryLayout<sa_family_t>.size + path.utf8.count
        }
        try systemCall("sendto") {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(socket.number, bytes, bytes.count, 0, $0, socklen_t(length)) }
            }
        }
    }

    /// The user at the other end of a Unix socket, as it was when that end connected or began to listen.
    public static func peerUser(_ socket: Int32) throws(SystemError) -> UInt32 {
        var user: uid_t = 0
        try systemCall("getsockopt") { keyhole_peer_user(socket, &user) }
        return user
    }

    /// Accepts a connection; nil when none waits.
    public static func accept(_ listener: Int32) throws(SystemError) -> FileDescriptor? {
        do throws(SystemError) {
            let number = try nonblockingCall("accept") { keyhole_accept(listener) }
            guard let number else { return nil }
            return FileDescriptor(owning: number)
        } catch where error.code == ECONNABORTED { return nil }
    }

    /// A connected pair of Unix stream sockets.
    public static func pair() throws(SystemError) -> (Int32, Int32) {
        var numbers: (Int32, Int32) = (-1, -1)
        try systemCall("socketpair") {
            withUnsafeMutablePointer(to: &numbers) {
                $0.withMemoryRebound(to: Int32.self, capacity: 2) { socketpair(AF_UNIX, streamType | closeOnExec, 0, $0) }
            }
        }
        return numbers
    }

    /// The local address of a bound socket.
    public static func localAddress(_ socket: Int32) throws(SystemError) -> SocketAddress {
        try address("getsockname", socket, getsockname)
    }

    /// The remote address of a connected socket.
    public static func remoteAddress(_ socket: Int32) throws(SystemError) -> SocketAddress {
        try address("getpeername", socket, getpeername)
    }

    /// Whether a `connect` under way has finished, well or not, see ``pendingError(_:)``.
    public static func isConnectFinished(_ socket: Int32) -> Bool {
        var waited = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        return poll(&waited, 1, 0) == 1
    }

    /// Takes the error of a finished `connect` (SO_ERROR); nil when it succeeded.
    public static func pendingError(_ socket: Int32) -> SystemError? {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &length)
        return code == 0 ? nil : SystemError(call: "connect", code: code)
    }

    public static func setOption(_ socket: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws(SystemError) {
        var value = value
        try systemCall("setsockopt") { setsockopt(socket, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) }
    }

    /// Makes a TCP socket send at once what it is given, however little.
    public static func setNodelay(_ socket: Int32) throws(SystemError) { try setOption(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

    /// Makes closing a TCP socket reset its connection, so that the peer learns at once that it failed.
    public static func resetOnClose(_ socket: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    public static func setBlocking(_ descriptor: Int32) throws(SystemError) {
        try systemCall("fcntl") { keyhole_set_nonblocking(descriptor, false) }
    }

    public static func setNonblocking(_ descriptor: Int32) throws(SystemError) {
        try systemCall("fcntl") { keyhole_set_nonblocking(descriptor, true) }
    }

    /// Sends bytes with a descriptor beside them; nil when the socket is full. Returns the bytes sent.
    public static func send(_ socket: Int32, _ bytes: [UInt8], descriptor: Int32?) throws(SystemError) -> Int? {
        try nonblockingCall("sendmsg") { keyhole_send_with_descriptor(socket, bytes, bytes.count, descriptor ?? -1) }
    }

    /// Whether the descriptor is a stream socket.
    public static func isStream(_ descriptor: Int32) -> Bool {
        var type: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == streamType
    }

    /// The bytes that wait, left where they are; nil when nothing waits, no bytes mean end of stream.
    public static func peek(_ socket: Int32, capacity: Int) throws(SystemError) -> [UInt8]? {
        var failure: SystemError?
        var waits = false
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            do throws(SystemError) {
                let count = try nonblockingCall("recv") { recv(socket, buffer.baseAddress, capacity, Int32(MSG_PEEK)) }
                initialized = count ?? 0
                waits = count == nil
            } catch { failure = error }
        }
        if let failure { throw failure }
        return waits ? nil : bytes
    }

    /// What one receive brought: no bytes mean end of stream.
    public struct Received: ~Copyable {
        public var bytes: [UInt8]
        public var descriptor: Int32?
    }

    /// Receives bytes and at most one descriptor, which the caller owns; nil when nothing waits.
    public static func receive(_ socket: Int32, capacity: Int) throws(SystemError) -> Received? {
        var descriptor: Int32 = -1
        var failure: SystemError?
        var waits = false
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            do throws(SystemError) {
                let count = try nonblockingCall("recvmsg") {
                    keyhole_receive_with_descriptor(socket, buffer.baseAddress, capacity, &descriptor)
                }
                initialized = count ?? 0
                waits = count == nil
            } catch { failure = error }
        }
        if let failure { throw failure }
        return waits ? nil : Received(bytes: bytes, descriptor: descriptor < 0 ? nil : descriptor)
    }

    private static func open(_ address: SocketAddress, _ type: Int32) throws(SystemError) -> FileDescriptor {
        let family = address.ip.isV6 ? AF_INET6 : AF_INET
        let socket = FileDescriptor(owning: try systemCall("socket") { Glibc.socket(family, type | closeOnExec | nonblocking, 0) })
        if address.ip.isV6 { try setOption(socket.number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        if type == streamType { try setNodelay(socket.number) }
        return socket
    }

    private static func bind(_ socket: Int32, _ address: SocketAddress) throws(SystemError) {
        try systemCall("bind") { address.withSockaddr { Glibc.bind(socket, $0, $1) } }
    }

    /// Bytes of a Unix socket's path at most: what stays of `sun_path` beside the final zero.
    public static let longestUnixPath = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private static func unixAddress(_ path: String) throws(SystemError) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count <= longestUnixPath else { throw SystemError(call: "bind", code: ENAMETOOLONG) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    private static func bindUnix(_ socket: Int32, _ path: String) throws(SystemError) {
        var address = try unixAddress(path)
        // The file must never be seen with other permissions, so the mask is set before it is made.
        let mask = umask(0o177)
        defer { umask(mask) }
        try systemCall("bind") {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
        }
    }

    private static func address(
        _ call: String, _ socket: Int32, _ body: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) throws(SystemError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var result: SocketAddress?
        try systemCall(call) {
            withUnsafeMutablePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    let status = body(socket, raw, &length)
                    if status == 0 { result = SocketAddress(raw) }
                    return status
                }
            }
        }
        guard let result else { throw SystemError(call: call, code: EAFNOSUPPORT) }
        return result
    }
}
