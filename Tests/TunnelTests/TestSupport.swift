import EventLoop
import Glibc
import Platform
import Testing

@testable import Tunnel

/// Long enough for a loaded machine; a test that waits this long has failed.
private let patience: Duration = .seconds(60)

/// What a request for a connection ends with; written out where it is consumed, because Swift 6.0 takes a closure's argument without
/// its type as borrowed.
typealias HandoverResult = Result<FileDescriptor, HandoverError>

extension EventLoop {
    /// Runs until the condition holds.
    func run(until condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) {
        var isOver = false
        let watchdog = Timer(on: self) { isOver = true }
        watchdog.start(after: patience)
        while !condition(), !isOver { runOnce() }
        #expect(condition(), sourceLocation: sourceLocation)
    }
}

/// The other end of a channel, spoken by hand on a blocking socket.
final class RawEnd {
    private let socket: FileDescriptor

    init(_ number: Int32) { socket = FileDescriptor(owning: number) }

    func send(_ text: String, descriptor: Int32? = nil) throws {
        let bytes = Array(text.utf8)
        let sent = try #require(try Sockets.send(socket.number, bytes, descriptor: descriptor))
        if sent < bytes.count { try writeAll(socket.number, Array(bytes[sent...])) }
    }

    func send(_ text: String, handing descriptor: consuming FileDescriptor) throws { try send(text, descriptor: descriptor.number) }

    /// What has arrived, as one string.
    func received() throws -> String { String(decoding: try readBytes(socket.number, count: 1 << 20), as: UTF8.self) }
}

/// A channel and its raw other end.
func channelWithRawEnd(
    on loop: EventLoop, service: HandoverService = .none, answerTimeout: Duration = HandoverChannel.answerTimeout,
    onClose: @escaping (HandoverEnding) -> Void = { _ in }
) throws -> (HandoverChannel, RawEnd) {
    let (left, right) = try Sockets.pair()
    let channel = try HandoverChannel(
        on: loop, FileDescriptor(owning: left), service: service, answerTimeout: answerTimeout, onClose: onClose)
    return (channel, RawEnd(right))
}

/// A socket that yields `number` when read.
func markedSocket(_ number: UInt16) throws -> FileDescriptor {
    let (left, right) = try Sockets.pair()
    try writeAll(right, [UInt8(number >> 8), UInt8(number & 255)])
    close(right)
    return FileDescriptor(owning: left)
}

func mark(of socket: borrowing FileDescriptor) -> UInt16? {
    guard let bytes = try? readBytes(socket.number, count: 2), bytes.count == 2 else { return nil }
    return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
}

/// A path for a socket that no other test uses.
func temporaryPath() -> String { "/tmp/keyhole-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max))" }
