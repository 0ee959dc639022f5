import CPlatform
import EventLoop
import Glibc
import Platform
import QUIC

/// A UDP socket that sends and receives many datagrams with one system call.
public final class UDPSocket {
    /// What the kernel may hold for us in each direction. Less loses packets at speed (spec/quic-interop.md, "Speed").
    private static let kernelBuffer: Int32 = 4 << 20
    /// A message of the kernel: up to 64 KiB of datagrams glued together.
    private static let messageSize = 65536
    /// Rounds of receiving before other events get their turn.
    private static let roundsPerTurn = 2

    public let localAddress: SocketAddress
    private let index: Int
    private let isWildcard: Bool
    private let descriptor: FileDescriptor
    private var watcher: Watcher!
    private let memory: UnsafeMutableRawPointer
    private let messages: UnsafeMutablePointer<keyhole_udp_message>
    private var offloads = true
    /// A batch that the kernel would not take, sent first when it does again.
    private var waiting: (bytes: [UInt8], segment: Int, path: NetworkPath, ecn: UInt8)?
    private let receiver: (UnsafeRawBufferPointer, NetworkPath, UInt8) -> Void

    /// - Parameters:
    ///   - index: What ``NetworkPath/transport`` is for datagrams of this socket.
    ///   - receiver: Called for each datagram; the bytes are valid during the call.
    public convenience init(
        on loop: EventLoop, bind address: SocketAddress, index: Int, receiver: @escaping (UnsafeRawBufferPointer, NetworkPath, UInt8) -> Void
    ) throws(SystemError) {
        try self.init(on: loop, at: .address(address), index: index, receiver: receiver)
    }

    /// - Parameter place: An address, or a socket that the service manager has bound.
    public init(
        on loop: EventLoop, at place: ListeningPlace, index: Int, receiver: @escaping (UnsafeRawBufferPointer, NetworkPath, UInt8) -> Void
    ) throws(SystemError) {
        let socket = try place.udp()
        localAddress = try Sockets.localAddress(socket.number)
        keyhole_udp_configure(socket.number, localAddress.ip.isV6, Self.kernelBuffer)
        isWildcard = localAddress.ip.isUnspecified
        self.index = index
        self.receiver = receiver
        let count = keyhole_udp_most_messages
        memory = .allocate(byteCount: count * Self.messageSize, alignment: 64)
        messages = .allocate(capacity: count)
        messages.initialize(repeating: keyhole_udp_message(), count: count)
        for number in 0..<count {
            messages[number].bytes = memory.advanced(by: number * Self.messageSize).assumingMemoryBound(to: UInt8.self)
            messages[number].capacity = Self.messageSize
        }
        descriptor = socket
        watcher = try Watcher(on: loop, descriptor.number) { [unowned self] readiness in
            if readiness.contains(.writable) { sendWaiting() }
            if readiness.contains(.readable) { receive() }
        }
        watcher.wait(for: .readable)
    }

    deinit {
        watcher?.cancel()
        messages.deallocate()
        memory.deallocate()
    }

    private func receive() {
        for _ in 0..<Self.roundsPerTurn {
            // Errors here are those of earlier sends (ICMP); QUIC notices loss by itself.
            let count = keyhole_udp_receive(descriptor.number, messages, Int32(keyhole_udp_most_messages))
            guard count > 0 else { return }
            for number in 0..<Int(count) { deliver(messages + number) }
            if count < keyhole_udp_most_messages { return }
        }
    }

    private func deliver(_ message: UnsafeMutablePointer<keyhole_udp_message>) {
        let remote = UnsafeRawPointer(message).advanced(by: MemoryLayout<keyhole_udp_message>.offset(of: \.remote)!)
        guard let remote = SocketAddress(remote.assumingMemoryBound(to: sockaddr.self)) else { return }
        let path = NetworkPath(transport: index, local: isWildcard ? message.localAddress : nil, remote: remote)
        var rest = UnsafeRawBufferPointer(start: message.pointee.bytes, count: message.pointee.length)
        while !rest.isEmpty {
            let size = min(message.pointee.segment, rest.count)
            receiver(UnsafeRawBufferPointer(rebasing: rest[..<size]), path, message.pointee.ecn)
            rest = UnsafeRawBufferPointer(rebasing: rest[size...])
        }
    }

    /// Sends datagrams of `segmentSize` bytes each, the last may be shorter. Returns whether the socket takes more.
    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool {
        guard waiting == nil else { return false }
        if transmit(bytes, segmentSize, path, ecn) { return true }
        waiting = (Array(bytes), segmentSize, path, ecn)
        watcher.wait(for: [.readable, .writable])
        return false
    }

    /// Returns false if the socket is full. Other errors lose the datagrams, as the network might have.
    private func transmit(_ bytes: UnsafeRawBufferPointer, _ segmentSize: Int, _ path: NetworkPath, _ ecn: UInt8) -> Bool {
        if offloads || bytes.count <= segmentSize {
            switch transmitOnce(bytes, segmentSize, path, ecn) {
            case 0: return true
            case EAGAIN, ENOBUFS: return false
            // A device or a tunnel without segmentation offload: cut the datagrams here from now on.
            case EIO, EINVAL, EOPNOTSUPP: offloads = bytes.count <= segmentSize
            default: return true
            }
        }
        var rest = bytes
        while !rest.isEmpty {
            let size = min(segmentSize, rest.count)
            let status = transmitOnce(UnsafeRawBufferPointer(rebasing: rest[..<size]), size, path, ecn)
            if status == EAGAIN || status == ENOBUFS, rest.count == bytes.count { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[size...])
        }
        return true
    }

    private func transmitOnce(_ bytes: UnsafeRawBufferPointer, _ segmentSize: Int, _ path: NetworkPath, _ ecn: UInt8) -> Int32 {
        guard let remote = path.address else { return 0 }
        return remote.withSockaddr { address, length in
            path.local.withBytes { local, localLength in
                do throws(SystemError) {
                    try systemCall("sendmsg") {
                        keyhole_udp_send(descriptor.number, bytes.baseAddress, bytes.count, segmentSize, address, length, local, localLength, ecn)
                    }
                    return 0
                } catch { return error.code }
            }
        }
    }

    private func sendWaiting() {
        guard let batch = waiting else { return }
        guard batch.bytes.withUnsafeBytes({ transmit($0, batch.segment, batch.path, batch.ecn) }) else { return }
        waiting = nil
        watcher.wait(for: .readable)
    }
}

extension UnsafeMutablePointer<keyhole_udp_message> {
    fileprivate var localAddress: IPAddress? {
        switch pointee.local_length {
        case 4: withUnsafeBytes(of: pointee.local) { .v4(UInt32(bigEndian: $0.load(as: UInt32.self))) }
        case 16: withUnsafeBytes(of: pointee.local) {
            .v6(high: UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)), low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
        default: nil
        }
    }
}

extension IPAddress? {
    fileprivate func withBytes<Result>(_ body: (UnsafePointer<UInt8>?, Int) -> Result) -> Result {
        switch self {
        case nil: body(nil, 0)
        case .v4(let value): withUnsafeBytes(of: value.bigEndian) { body($0.bindMemory(to: UInt8.self).baseAddress, 4) }
        case .v6(let high, let low):
            withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { body($0.bindMemory(to: UInt8.self).baseAddress, 16) }
        }
    }
}
