import Crypto
import EventLoop
import Glibc
import Platform
import Testing

@testable import Tunnel

private let alice = SecretKey(seed: [UInt8](repeating: 1, count: 32))!.publicKey
private let bob = SecretKey(seed: [UInt8](repeating: 2, count: 32))!.publicKey

@Test("an access list allows the keys it names, in any form, and nobody else")
func accessList() throws {
    let list = try AccessList(parsing: Array("# friends\n\n  \(alice) # alice\t\r\n".utf8))
    #expect(list.allows(alice))
    #expect(!list.allows(bob))
    #expect(try AccessList(parsing: Array("pk:\(bob)".utf8)).allows(bob))
    #expect(try AccessList(parsing: []).keys.isEmpty)
}

@Test("a line of an access list that is no key is reported with its number")
func accessListErrors() {
    #expect(throws: AccessList.SyntaxError(line: 3, text: "bob")) { try AccessList(parsing: Array("#\n\(alice)\n bob \n".utf8)) }
    #expect(throws: AccessList.SyntaxError(line: 1, text: "\(alice) \(bob)")) { try AccessList(parsing: Array("\(alice) \(bob)".utf8)) }
}

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
