import EventLoop
import Glibc
import HTTPClient
import Platform
import Testing

/// A listener whose first connection sends back what it gets.
private final class Echo {
    let address: SocketAddress
    private let listener: FileDescriptor
    private var watchers: [Watcher] = []
    private var connection: Int32?

    init(on loop: EventLoop) throws {
        listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
        address = try Sockets.localAddress(listener.number)
        watchers.append(try Watcher(on: loop, listener.number) { [unowned self] _ in
            guard connection == nil, let accepted = try? Sockets.accept(listener.number) else { return }
            let number = accepted.release()
            connection = number
            let watcher = try? Watcher(on: loop, number) { [unowned self] _ in
                guard let bytes = try? readBytes(number, count: 65536) else { return }
                if bytes.isEmpty { hangUp() } else { try? writeAll(number, bytes) }
            }
            if let watcher { watchers.append(watcher) }
            watcher?.wait(for: .readable)
        })
        watchers[0].wait(for: .readable)
    }

    func hangUp() {
        for watcher in watchers { watcher.cancel() }
        watchers = []
        if let connection { close(connection) }
        connection = nil
    }

    deinit { hangUp() }
}

/// Runs the loop until something is so; longer than this and the test fails.
private func run(_ loop: EventLoop, until condition: () -> Bool) throws {
    var isLate = false
    let timer = Timer(on: loop) { isLate = true }
    timer.start(after: .seconds(30))
    while !condition() {
        try #require(!isLate, "it did not happen in time")
        loop.runOnce()
    }
}

private func connected(to address: SocketAddress, on loop: EventLoop) throws -> HTTPStream {
    let stream = HTTPClient(on: loop).connect(to: "http://\(address)/", timeout: .seconds(20))
    var result: Result<Void, HTTPFailure>?
    stream.onConnect = { result = $0 }
    #expect(result == nil)
    try run(loop) { result != nil }
    try result!.get()
    return stream
}

@Test("a stream carries bytes both ways, more than the network holds at once, and ends with its other end")
func bothWays() throws {
    let loop = EventLoop()
    let echo = try Echo(on: loop)
    let stream = try connected(to: echo.address, on: loop)
    let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 >> 3) }
    var (sent, got, wasFull, isAtEnd) = (0, [UInt8](), false, false)
    stream.onReady = { readiness in
        content.withUnsafeBytes { bytes in
            while sent < bytes.count {
                guard let count = try? stream.send(UnsafeRawBufferPointer(rebasing: bytes[sent...])) else {
                    wasFull = true
                    break
                }
                sent += count
            }
        }
        var buffer = [UInt8](repeating: 0, count: 100_000)
        while let count = try? buffer.withUnsafeMutableBytes({ try stream.receive($0) }), !isAtEnd {
            isAtEnd = count == 0
            got += buffer[..<count]
        }
        stream.wait(for: sent < content.count ? [.readable, .writable] : .readable)
    }
    stream.wait(for: .writable)
    try run(loop) { got.count == content.count }
    #expect(got == content)
    #expect(wasFull)
    echo.hangUp()
    try run(loop) { isAtEnd }
}

@Test("what can't be connected to is a failure with words, never within the call", arguments: [
    "http://127.0.0.1:9/", "https://127.0.0.1:9/", "http://name.invalid/", "ftp://127.0.0.1/", "",
])
func noStream(url: String) throws {
    let loop = EventLoop()
    let stream = HTTPClient(on: loop).connect(to: url, timeout: .seconds(20))
    var result: Result<Void, HTTPFailure>?
    stream.onConnect = { result = $0 }
    try run(loop) { result != nil }
    guard case .failure(let failure)? = result else {
        Issue.record("connected")
        return
    }
    #expect(!failure.description.isEmpty)
}

@Test("a server that does not finish TLS is given up in time")
func silentTLS() throws {
    let loop = EventLoop()
    let listener = try Sockets.tcpListener(bind: SocketAddress("127.0.0.1:0")!)
    let stream = HTTPClient(on: loop).connect(to: "https://\(try Sockets.localAddress(listener.number))/", timeout: .milliseconds(100))
    var failure: HTTPFailure?
    stream.onConnect = { if case .failure(let reason) = $0 { failure = reason } }
    try run(loop) { failure != nil }
    #expect(failure == .timedOut)
}

@Test("a closed stream calls nobody, and the loop runs dry")
func closing() throws {
    let loop = EventLoop()
    let echo = try Echo(on: loop)
    let early = HTTPClient(on: loop).connect(to: "http://\(echo.address)/", timeout: .seconds(20))
    early.onConnect = { _ in Issue.record("connected") }
    early.close()
    let stream = try connected(to: echo.address, on: loop)
    stream.onReady = { _ in Issue.record("ready") }
    stream.wait(for: [.readable, .writable])
    stream.close()
    stream.close()
    echo.hangUp()
    loop.run()
}

@Test("a proxy's refusal says what to do")
func proxyWords() {
    #expect(HTTPFailure.proxyRefused(status: 407).description.contains("USER:PASSWORD"))
    #expect(HTTPFailure.proxyRefused(status: 403).description.contains("403"))
}
