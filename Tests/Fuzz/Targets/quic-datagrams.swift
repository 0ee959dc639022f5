import Crypto
import FuzzSupport
import Iroh
import Platform
import QUIC

/// Takes what the endpoint sends and remembers by which id it wants to be called.
final class Sink: DatagramSink {
    var id: ArraySlice<UInt8>?
    var sent = 0

    func send(_ bytes: UnsafeRawBufferPointer, segmentSize: Int, on path: NetworkPath, ecn: UInt8) -> Bool {
        sent += bytes.count
        // A long header: version, destination id, source id, each id after its length.
        guard bytes.count > 6, bytes[0] & 0x80 != 0 else { return true }
        let length = 6 + Int(bytes[5])
        guard length < bytes.count, bytes[length] == 8, length + 9 <= bytes.count else { return true }
        id = ArraySlice(bytes[(length + 1)..<(length + 9)])
        return true
    }
}

final class Handler: ConnectionAcceptor, ConnectionHandler {
    func accepted(_ connection: Connection) { connection.handler = self }
    func connectionEstablished(_ connection: Connection) {}
    func connection(_ connection: Connection, opened stream: QUIC.Stream) { stream.stopReading(code: 1) }
    func connectionAllowsStreams(_ connection: Connection) {}
    func connectionMoved(_ connection: Connection) {}
    func connectionClosed(_ connection: Connection, reason: CloseReason) {}
}

/// Each datagram stands after its length (2 bytes) and a byte that says how it comes: bit 7 puts the id of the endpoint's last packet in as
/// destination, bits 6 and 5 let 1 s pass before, bit 4 has the endpoint dial out first, bit 3 brings it through a relay, the others are the
/// sender.
@_cdecl("LLVMFuzzerTestOneInput")
public func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz(start, count) { bytes in
        let handler = Handler(), sink = Sink()
        let key = SecretKey(seed: [UInt8](repeating: 1, count: 32))!
        var configuration = Configuration(alpn: ["fuzz"])
        configuration.retryThreshold = 2
        let endpoint = Endpoint(key: key, configuration: configuration)
        endpoint.acceptor = handler
        var now = Instant(nanoseconds: 1_000_000_000)
        var received = 0
        var rest = bytes[...]
        while rest.count >= 3 {
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            let how = rest[rest.startIndex + 2]
            rest = rest.dropFirst(3)
            var datagram = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            let path = how & 0x08 != 0
                ? NetworkPath(relay: 0, to: EndpointID(bytes: [UInt8](repeating: how & 7, count: 32))!)
                : NetworkPath(transport: 0, remote: SocketAddress("192.0.2.\(how & 7):4433")!)
            if how & 0x10 != 0 { _ = endpoint.connect(to: key.publicKey, on: path, handler: handler, now: now) }
            if how & 0x60 == 0x60 { now = now + .seconds(1) }
            if how & 0x80 != 0, let id = sink.id {
                let place = datagram.first.map { $0 & 0x80 != 0 } == true ? 6 : 1
                if datagram.count >= place + 8 {
                    datagram.replaceSubrange(place..<(place + 8), with: id)
                    if place == 6 { datagram[5] = 8 }
                }
            }
            datagram.withUnsafeBytes { endpoint.receive($0, on: path, ecn: how & 3, now: now) }
            received += length
            _ = endpoint.flush(to: sink, now: now)
            if let deadline = endpoint.deadline, deadline <= now { endpoint.handleDeadline(now: now) }
        }
        precondition(endpoint.connectionCount <= bytes.count / 3 * 2, "a datagram opens one connection at most")
        // Time passes: everything that was begun ends by itself.
        var rounds = 0
        while let deadline = endpoint.deadline, rounds < 10_000 {
            now = max(now, deadline)
            endpoint.handleDeadline(now: now)
            _ = endpoint.flush(to: sink, now: now)
            rounds += 1
        }
        precondition(endpoint.connectionCount == 0, "nobody answers, so no handshake comes to an end")
    }
}
