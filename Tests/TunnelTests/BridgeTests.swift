import Crypto
import EventLoop
import Glibc
import Platform
import Testing

@testable import Tunnel

@Test("a host and a port print as they are read", arguments: ["localhost:80", "127.0.0.1:0", "[::1]:65535", "a.example:1"])
func hostAndPort(_ text: String) { #expect(HostAndPort(text)?.description == text) }

@Test("anything else is no host and port", arguments: [
    "", ":80", "host", "host:", "host:65536", "host:+1", "::1:80", "[::1:80", "[host]:80", "ho st:80", "host:8 0", "[127.0.0.1]:80",
])
func noHostAndPort(_ text: String) { #expect(HostAndPort(text) == nil) }

@Test("a target whose first address refuses is reached at its next")
func targetAddresses() throws {
    let loop = EventLoop()
    // localhost is ::1 and 127.0.0.1, or the latter alone.
    let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
    let port = try Sockets.localAddress(listener.number).port
    var reached: SocketAddress?
    TargetConnection.connect(to: HostAndPort("localhost:\(port)")!, on: loop) { (result: consuming Result<FileDescriptor, SystemError>) in
        if case .success(let socket) = consume result { reached = try? Sockets.remoteAddress(socket.number) }
    }
    loop.run(until: { reached != nil })
    #expect(reached == SocketAddress(ip: IPAddress("127.0.0.1")!, port: port))
}

@Test("a target that can't be reached is an error with its reason")
func targetErrors() throws {
    let loop = EventLoop()
    let port: UInt16
    do {
        let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        port = try Sockets.localAddress(listener.number).port
    }
    var errors: [Int32] = []
    for target in ["127.0.0.1:\(port)", "name.invalid:1"] {
        TargetConnection.connect(to: HostAndPort(target)!, on: loop) { (result: consuming Result<FileDescriptor, SystemError>) in
            if case .failure(let error) = consume result { errors.append(error.code) }
        }
    }
    loop.run(until: { errors.count == 2 })
    #expect(errors.first == ECONNREFUSED)
}

@Test("a connection that waits for quic-dial in vain is reset")
func holdTime() throws {
    let loop = EventLoop()
    let path = temporaryPath()
    var refused: [SocketAddress?] = []
    let bridge = try ClientBridge(
        on: loop, socketPath: path, listener: try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!), peer: nil,
        holdTime: .milliseconds(20)
    ) { if case .refused(let client, _) = $0 { refused.append(client) } }
    let client = try Sockets.tcpConnect(to: bridge.address)
    let own = try Sockets.localAddress(client.number)
    loop.run(until: { refused == [own] })
    #expect(throws: SystemError(call: "read", code: ECONNRESET)) { try readBytes(client.number, count: 1) }
    bridge.close()
}
