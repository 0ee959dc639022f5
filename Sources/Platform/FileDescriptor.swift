import CPlatform
import Glibc

/// The owner of an open descriptor: closed when the value ends, unless released.
public struct FileDescriptor: ~Copyable {
    public let number: Int32

    /// Takes ownership of an open descriptor.
    public init(owning number: Int32) { self.number = number }

    deinit { Glibc.close(number) }

    /// Gives up ownership; the caller closes it.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }

    /// Opens a file, close-on-exec.
    public static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try systemCall("open") { keyhole_open(path, flags, mode) })
    }
}

/// Reads at most `count` bytes, waiting as the descriptor does. Empty at end of file.
public func readBytes(_ descriptor: Int32, count: Int) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        do throws(SystemError) { initialized = try systemCall("read") { read(descriptor, buffer.baseAddress, count) } } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
}

/// Writes all bytes, waiting as the descriptor does.
public func writeAll(_ descriptor: Int32, _ bytes: borrowing [UInt8]) throws(SystemError) {
    var failure: SystemError?
    bytes.withUnsafeBytes { buffer in
        var rest = UnsafeRawBufferPointer(buffer)
        do throws(SystemError) {
            while !rest.isEmpty {
                guard let written = try nonblockingCall("write", { write(descriptor, rest.baseAddress, rest.count) }) else {
                    // Somebody who shares this pipe or terminal made it non-blocking.
                    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = try systemCall("poll") { poll(&wait, 1, -1) }
                    continue
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
        } catch { failure = error }
    }
    if let failure { throw failure }
}
