import Glibc

/// Where a service takes what comes: an address that it binds, or a socket that a service manager has bound, see ``ActivatedSockets``.
public enum ListeningPlace: Equatable, Sendable {
    case address(SocketAddress)
    /// The descriptor is the receiver's, who closes it.
    case socket(Int32)

    /// The UDP socket; see ``Sockets/udp(bind:receiveBuffer:)``.
    public func udp(receiveBuffer: Int32? = nil) throws(SystemError) -> FileDescriptor {
        switch self {
        case .address(let address): return try Sockets.udp(bind: address, receiveBuffer: receiveBuffer)
        case .socket(let number):
            let socket = FileDescriptor(owning: number)
            if let receiveBuffer { try Sockets.setOption(number, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
            return socket
        }
    }

    /// The listening TCP socket.
    public func tcpListener() throws(SystemError) -> FileDescriptor {
        switch self {
        case .address(let address): return try Sockets.tcpListener(bind: address)
        case .socket(let number): return FileDescriptor(owning: number)
        }
    }
}
