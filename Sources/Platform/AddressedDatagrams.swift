import CPlatform
import Glibc

/// Receives datagrams, several with one system call, and tells where each was sent to: on a socket that is bound to every address of the
/// machine, an answer has to leave from the address that was asked.
public final class AddressedDatagrams {
    public struct Datagram {
        public var bytes: [UInt8]
        public var source: SocketAddress
        /// The local address that it was sent to.
        public var destination: IPAddress?
    }

    private let socket: Int32
    private let capacity: Int
    private let memory: UnsafeMutablePointer<UInt8>
    private let messages: UnsafeMutablePointer<keyhole_udp_message>
    private static let most = Int(keyhole_udp_most_messages)

    /// - Parameters:
    ///   - socket: A bound UDP socket, which stays its owner's.
    ///   - capacity: Bytes of the longest datagram; longer ones are dropped.
    public init(_ socket: Int32, capacity: Int) throws(SystemError) {
        let isV6 = try Sockets.localAddress(socket).ip.isV6
        try Sockets.setOption(socket, Int32(isV6 ? IPPROTO_IPV6 : IPPROTO_IP), isV6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1)
        self.socket = socket
        self.capacity = capacity
        memory = .allocate(capacity: capacity * Self.most)
        messages = .allocate(capacity: Self.most)
        messages.initialize(repeating: keyhole_udp_message(), count: Self.most)
        for index in 0..<Self.most {
            messages[index].bytes = memory + index * capacity
            messages[index].capacity = capacity
        }
    }

    deinit {
        memory.deallocate()
        messages.deallocate()
    }

    /// Receives what waits, but no more than fits one call; empty when nothing does, or when all that did was too long.
    public func receive() -> [Datagram] {
        // An error is that of an earlier answer which somebody did not want; the next call brings what waits behind it.
        let count = keyhole_udp_receive(socket, messages, Int32(Self.most))
        guard count > 0 else { return [] }
        return (0..<Int(count)).compactMap { datagram(messages + $0) }
    }

    private func datagram(_ message: UnsafeMutablePointer<keyhole_udp_message>) -> Datagram? {
        guard message.pointee.length > 0 else { return nil }
        let remote = UnsafeRawPointer(message).advanced(by: MemoryLayout<keyhole_udp_message>.offset(of: \.remote)!)
        guard let source = SocketAddress(remote.assumingMemoryBound(to: sockaddr.self)) else { return nil }
        let local = withUnsafeBytes(of: message.pointee.local) { IPAddress(bytes: $0.prefix(Int(message.pointee.local_length))) }
        return Datagram(bytes: Array(UnsafeBufferPointer(start: message.pointee.bytes, count: message.pointee.length)), source: source,
                        destination: local)
    }

    /// Sends a datagram from a local address; false when the socket's buffer is full.
    @discardableResult
    public func send(_ bytes: [UInt8], to remote: SocketAddress, from local: IPAddress?) throws(SystemError) -> Bool {
        let source = local?.bytes ?? []
        return try nonblockingCall("sendmsg") {
            remote.withSockaddr { keyhole_udp_send(socket, bytes, bytes.count, bytes.count, $0, $1, source, source.count, 0) }
        } != nil
    }
}
