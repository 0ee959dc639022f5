import EventLoop
import Glibc
import Platform
import Testing
import TLS
import Tunnel

@testable import Ladder

/// A pipe, and the server at the far end of its TLS.
private final class Line {
    let loop = EventLoop()
    let plain: DescriptorOwner
    let server: TLSSession
    private let far: DescriptorOwner

    init() throws {
        let (near, far) = try Sockets.pair()
        let nearEnd = DescriptorOwner(FileDescriptor(owning: near))
        self.far = DescriptorOwner(FileDescriptor(owning: far))
        for number in [near, far] { try Sockets.setNonblocking(number) }
        server = try TLSSession(TLSCredentials(chain: Array(localhostCertificate.utf8), key: Array(localhostKey.utf8)), socket: far)
        let client = try TLSSession(
            to: .domain("localhost"), named: "localhost", by: .certificates(authorities: Array(localhostCertificate.utf8)), socket: near)
        var isDone = false
        while !isDone {
            isDone = try client.handshake()
            if !server.isEstablished { _ = try server.handshake() }
        }
        plain = try TLSPipe.plainEnd(of: client, on: nearEnd, on: loop)
    }

    func breakOff() { _ = far.take() }
}

@Suite struct TLSPipeTests {
    /// The server sends back what it gets, no more than it can get rid of; whoever writes is slowed down by whoever reads.
    @Test func megabytesPassBothWaysWholeAndEndsAfterThem() throws {
        let line = try Line()
        let data = [UInt8](unsafeUninitializedCapacity: 4 << 20) { buffer, count in
            for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: index &* 31 ^ index >> 11) }
            count = buffer.count
        }
        var written = 0, echoed: [UInt8] = [], answer: [UInt8] = []
        var hasShut = false, serverSawEnd = false, hasEnded = false, isOver = false
        var buffer = [UInt8](repeating: 0, count: TLSSession.largestRecord)
        let plain = line.plain.number
        line.loop.run(until: {
            while written < data.count {
                let count = data[written...].withUnsafeBytes { send(plain, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) }
                if count <= 0 { break }
                written += count
            }
            if written == data.count, !hasShut { hasShut = shutdown(plain, Int32(SHUT_WR)) == 0 }
            while echoed.isEmpty, !serverSawEnd {
                let received = buffer.withUnsafeMutableBytes { bytes in try? line.server.receive(bytes) }
                if case .bytes(let count)? = received { echoed += buffer[..<count] } else {
                    serverSawEnd = received == .end
                    break
                }
                while !echoed.isEmpty, let count = echoed.withUnsafeBytes({ bytes in (try? line.server.send(bytes)).flatMap { $0 } }) { echoed.removeFirst(count) }
            }
            while !echoed.isEmpty, let count = echoed.withUnsafeBytes({ bytes in (try? line.server.send(bytes)).flatMap { $0 } }) { echoed.removeFirst(count) }
            if serverSawEnd, echoed.isEmpty, !hasEnded { hasEnded = line.server.sendEnd() }
            while true {
                let count = recv(plain, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                isOver = count == 0
                if count <= 0 { break }
                answer += buffer[..<count]
            }
            return isOver
        })
        let isSame = answer == data
        #expect(isSame && serverSawEnd)
    }

    @Test func aWireThatBreaksEndsThePlainSideToo() throws {
        let line = try Line()
        line.breakOff()
        let plain = line.plain.number
        line.loop.run(until: {
            var byte: UInt8 = 0
            return recv(plain, &byte, 1, Int32(MSG_DONTWAIT)) == 0
        })
    }
}
