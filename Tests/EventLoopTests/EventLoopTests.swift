import EventLoop
import Glibc
import Platform
import Testing

@Test("timers fire in order of their times")
func timers() {
    let loop = EventLoop()
    var order: [Int] = []
    let late = Timer(on: loop) { order.append(2) }
    let early = Timer(on: loop) { order.append(1) }
    late.start(after: .milliseconds(20))
    early.start(after: .milliseconds(1))
    loop.run()
    #expect(order == [1, 2])
    _ = (late, early)
}

@Test("a watcher tells when bytes arrive and can be cancelled from its own handler")
func watcher() throws {
    let loop = EventLoop()
    let (left, right) = try Sockets.pair()
    defer { close(left); close(right) }
    var received: [UInt8] = []
    var watcher: Watcher?
    watcher = try Watcher(on: loop, left) { _ in
        received = (try? readBytes(left, count: 10)) ?? []
        watcher?.cancel()
    }
    watcher?.wait(for: .readable)
    try writeAll(right, [7, 8])
    loop.run()
    #expect(received == [7, 8])
}

@Test("a child's ending is reported with its code or signal")
func children() throws {
    let loop = EventLoop()
    var endings: [ChildProcess.Ending] = []
    _ = try ChildProcess(on: loop, ["sh", "-c", "exit 3"], descriptors: [nil, nil, nil]) { endings.append($0) }
    loop.run()
    _ = try ChildProcess(on: loop, ["sh", "-c", "kill -9 $$"], descriptors: [nil, nil, nil]) { endings.append($0) }
    loop.run()
    #expect(endings == [.exited(3), .killed(signal: 9)])
    #expect(throws: SystemError.self) { try ChildProcess(on: loop, ["/nonexistent"], descriptors: []) { _ in } }
}

@Test("a child gets no descriptor but those that it is given")
func strayDescriptors() throws {
    let stray = dup(0)
    defer { close(stray) }
    let loop = EventLoop()
    var endings: [ChildProcess.Ending] = []
    let arguments = ["sh", "-c", "test ! -e /proc/self/fd/\(stray)"]
    _ = try ChildProcess(on: loop, arguments, descriptors: [nil, nil, nil]) { endings.append($0) }
    loop.run()
    #expect(endings == [.exited(0)])
}

@Test("a numeric host resolves to itself, a missing name is an error")
func names() {
    let loop = EventLoop()
    var results: [[SocketAddress]?] = []
    NameLookup.addresses(of: "127.0.0.1", port: 5, on: loop) { results.append(try? $0.get()) }
    loop.run()
    NameLookup.addresses(of: "name.invalid", port: 5, on: loop) { results.append(try? $0.get()) }
    loop.run()
    #expect(results == [[SocketAddress("127.0.0.1:5")!], nil])
}
