import Crypto
import EventLoop
import Platform
import QUIC
import Testing

@testable import Paths

private func runUntil(_ loop: EventLoop, _ condition: () -> Bool) {
    var isOver = false
    // Long enough for a loaded machine; a test that waits this long has failed.
    let watchdog = Timer(on: loop) { isOver = true }
    watchdog.start(after: .seconds(60))
    while !condition(), !isOver { loop.runOnce() }
}

@Test("Families take turns, IPv6 first, each in the order given")
func interleaving() {
    let addresses = ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "192.0.2.3:1", "[2001:db8::2]:1"].map { SocketAddress($0)! }
    #expect(addresses.withFamiliesInTurn(\.ip).map(\.description)
        == ["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1", "192.0.2.3:1"])
    #expect([SocketAddress]().withFamiliesInTurn(\.ip).isEmpty)
}

@Test("A batch of datagrams arrives as it was cut, in order, with its ECN bits and the sender's address", arguments: ["127.0.0.1:0", "[::1]:0"])
func batches(bind: String) throws {
    let loop = EventLoop()
    var received: [(bytes: [UInt8], path: NetworkPath, ecn: UInt8)] = []
    let receiver = try UDPSocket(
        on: loop, bind: SocketAddress(bind)!, index: 3, receiver: { received.append((Array($0), $1, $2)) })
    let sender = try UDPSocket(on: loop, bind: SocketAddress(bind)!, index: 0, receiver: { _, _, _ in })
    let bytes = (0..<10_500).map { UInt8(truncatingIfNeeded: $0 >> 3) }
    let isTaken = bytes.withUnsafeBytes {
        sender.send($0, segmentSize: 1000, on: NetworkPath(transport: 0, remote: receiver.localAddress), ecn: 2)
    }
    #expect(isTaken)
    runUntil(loop) { received.count == 11 }
    #expect(received.map(\.bytes.count) == Array(repeating: 1000, count: 10) + [500])
    #expect(received.flatMap(\.bytes) == bytes)
    #expect(received.allSatisfy { $0.ecn == 2 && $0.path == NetworkPath(transport: 3, remote: sender.localAddress) })
}

@Test("A socket on all addresses knows which one a datagram came to, and answers from it")
func localAddresses() throws {
    let loop = EventLoop()
    var arrived: NetworkPath?
    var answeredFrom: SocketAddress?
    let server = try UDPSocket(on: loop, bind: SocketAddress("0.0.0.0:0")!, index: 0, receiver: { _, path, _ in arrived = path })
    let client = try UDPSocket(
        on: loop, bind: SocketAddress("127.0.0.1:0")!, index: 0, receiver: { _, path, _ in answeredFrom = path.address })
    let target = SocketAddress(ip: IPAddress("127.0.0.2")!, port: server.localAddress.port)
    _ = [1].withUnsafeBytes { client.send($0, segmentSize: $0.count, on: NetworkPath(transport: 0, remote: target), ecn: 0) }
    runUntil(loop) { arrived != nil }
    let path = try #require(arrived)
    #expect(path.local == IPAddress("127.0.0.2"))
    _ = [2].withUnsafeBytes { server.send($0, segmentSize: $0.count, on: path, ecn: 0) }
    runUntil(loop) { answeredFrom != nil }
    #expect(answeredFrom == target)
}
