import Glibc

extension Sockets {
    /// A datagram and who sent it.
    public struct ReceivedDatagram {
        public var bytes: [UInt8]
        public var source: SocketAddress
    }

    /// Receives one datagram; nil when none waits. What goes beyond `capacity` is cut off by the kernel.
    public static func receiveDatagram(_ socket: Int32, capacity: Int) throws(SystemError) -> ReceivedDatagram? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var source: SocketAddress?
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            do throws(SystemError) {
                let count = try nonblockingCall("recvfrom") {
                    withUnsafeMutablePointer(to: &storage) {
                        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                            recvfrom(socket, buffer.baseAddress, capacity, 0, $0, &length)
                        }
                    }
                }
                guard let count else { return }
                initialized = count
                source = withUnsafePointer(to: &storage) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { SocketAddress($0) }
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return source.map { ReceivedDatagram(bytes: bytes, source: $0) }
    }

    /// Sends one datagram; false when the socket's buffer is full.
    @discardableResult
    public static func sendDatagram(_ socket: Int32, _ bytes: [UInt8], to destination: SocketAddress) throws(SystemError) -> Bool {
        try nonblockingCall("sendto") {
            destination.withSockaddr { address, length in sendto(socket, bytes, bytes.count, 0, address, length) }
        } != nil
    }
}
