import Crypto
import Glibc
import Platform

/// Keeps other processes that use the same state directory from publishing a key's packet at the same time. It ends with the value, and
/// with the process however that ends.
public final class KeyLock {
    private let descriptor: Int32

    /// Takes the lock of a key, without waiting.
    ///
    /// - Throws: ``StateError/busy(path:holder:)`` while another process has it.
    public init(_ key: PublicKey, in state: StateDirectory) throws(StateError) {
        let path = state.file(key, "lock")
        do throws(SystemError) {
            descriptor = try FileDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o600).release()
        } catch { throw .system(path: path, error) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let code = errno
            let holder = (try? readBytes(descriptor, count: 32)).flatMap { Int(String(decoding: $0, as: UTF8.self).prefix { $0 != "\n" }) }
            Glibc.close(descriptor)
            throw code == EWOULDBLOCK ? .busy(path: path, holder: holder) : .system(path: path, SystemError(call: "flock", code: code))
        }
        // Only for who waits; the lock itself is the kernel's.
        ftruncate(descriptor, 0)
        try? writeAll(descriptor, Array("\(getpid())\n".utf8))
    }

    deinit { Glibc.close(descriptor) }
}
