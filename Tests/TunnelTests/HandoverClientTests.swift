import EventLoop
import Glibc
import Platform
import Testing

@testable import Tunnel

@Test("a client finds the bridge when it comes, fails clearly while it is away, and finds it again")
func reconnecting() throws {
    let loop = EventLoop()
    let path = temporaryPath()
    var states: [HandoverClient.State] = []
    let client = HandoverClient(on: loop, path: path, service: .none) { states.append($0) }
    loop.run(until: { states == [.disconnected(reason: "No such file or directory")] })
    for round in 0..<2 {
        var error: HandoverError?
        client.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            if case .failure(let failure) = consume result { error = failure }
        }
        #expect("\(try #require(error))".contains("no bridge at \(path)"))

        let bridge = try HandoverListener(
            on: loop, path: path, service: .connections { _, responder in responder.refuse("round \(round)") }, onEvent: { _ in })
        loop.run(until: { client.state == .connected })
        client.requestConnection(HandoverRequest(peer: nil)) { (result: consuming HandoverResult, _) in
            if case .failure(let failure) = consume result { error = failure }
        }
        loop.run(until: { error == .refused(HandoverRefusal("round \(round)")) })
        bridge.close()
        #expect(access(path, F_OK) != 0)
        loop.run(until: { client.state != .connected })
    }
}

@Test("a socket file that a dead process left is replaced; a live one and another file are not")
func socketFiles() throws {
    let loop = EventLoop()
    let path = temporaryPath()
    defer { unlink(path) }
    do { _ = try Sockets.unixListener(path: path) }
    #expect(access(path, F_OK) == 0)
    let bridge = try HandoverListener(on: loop, path: path, service: .none, onEvent: { _ in })
    var status = stat()
    lstat(path, &status)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) { _ = try Sockets.unixListener(path: path) }
    bridge.close()
    #expect(access(path, F_OK) != 0)
    let other = try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600)
    try writeAll(other.number, [1])
    #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) { _ = try Sockets.unixListener(path: path) }
    #expect(try readFile(path, limit: 10) == [1])
}

@Test("a bridge does not remove the socket of its successor")
func successor() throws {
    let loop = EventLoop()
    let path = temporaryPath()
    let first = try HandoverListener(on: loop, path: path, service: .none, onEvent: { _ in })
    unlink(path)
    let second = try HandoverListener(on: loop, path: path, service: .none, onEvent: { _ in })
    first.close()
    #expect(access(path, F_OK) == 0)
    second.close()
    #expect(access(path, F_OK) != 0)
}

@Test("a bridge turns away more commands than it serves, and goes on")
func tooManyChannels() throws {
    let loop = EventLoop()
    let path = temporaryPath()
    var connected = 0
    var turnedAway = 0
    let bridge = try HandoverListener(on: loop, path: path, service: .none) { event in
        switch event {
        case .connected: connected += 1
        case .turnedAway: turnedAway += 1
        case .disconnected, .acceptFailed: break
        }
    }
    var ends: [DescriptorOwner] = []
    for _ in 0..<HandoverListener.mostChannels + 2 { ends.append(DescriptorOwner(try Sockets.unixConnect(path: path))) }
    loop.run(until: { turnedAway == 2 })
    #expect(connected == HandoverListener.mostChannels)
    bridge.close()
}
