import Crypto
import Glibc
import JSON
import Pkarr
import Platform

/// The directory in which commands remember between runs; many processes may use one at the same time.
///
///     KEY.floor   what has been seen and signed, see Floor
///     KEY.lock    held by who publishes the key's packet
public struct StateDirectory: Sendable {
    /// How long a file may be kept from us while another process changes one: that takes the time of some writes to disk.
    static let longestUpdate: Duration = .seconds(10)
    /// Between two tries to get a lock. The system tells nobody when one is free.
    static let pause: Duration = .milliseconds(5)

    public let path: String

    /// Opens a directory, which is made, with those above it, where it does not exist.
    public init(_ path: String) throws(StateError) {
        self.path = path
        var made = path.hasPrefix("/") ? "" : "."
        for component in path.split(separator: "/") {
            made += "/" + component
            guard mkdir(made, 0o700) != 0, errno != EEXIST, errno != EISDIR else { continue }
            let error = SystemError(call: "mkdir", code: errno)
            // A directory above may be one that we may not write to, but that exists.
            if access(made, F_OK) != 0 { throw .system(path: made, error) }
        }
        do throws(SystemError) { _ = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY) } catch { throw .system(path: path, error) }
        guard access(path, W_OK | X_OK) == 0 else { throw .system(path: path, SystemError(call: "access", code: errno)) }
    }

    /// What is remembered of a key.
    public func floor(of key: PublicKey) throws(StateError) -> Floor {
        let path = file(key, "floor")
        let content: [UInt8]
        do throws(SystemError) { content = try readFile(path, limit: Floor.largestFile) } catch {
            if error.code == ENOENT { return .nothing }
            throw error.code == EFBIG ? .damaged(path: path, reason: "too large") : .system(path: path, error)
        }
        do throws(ObjectError) { return try Floor(content, for: key) } catch { throw .damaged(path: path, reason: "\(error)") }
    }

    /// Changes what is remembered of a key, in one step as other processes see it. Nothing is written when nothing changes.
    ///
    /// - Parameters:
    ///   - durably: Whether it has to survive a power cut. A signature must not go out before its timestamp is safe; what has only been seen
    ///     can be seen again.
    ///   - change: What it returns is returned. What it throws is thrown, and nothing is written.
    public func update<Result>(_ key: PublicKey, durably: Bool, _ change: (inout Floor) throws -> Result) throws -> Result {
        let directory = try opened()
        try wait(for: directory)
        let before = try floor(of: key)
        var floor = before
        let result = try change(&floor)
        if floor != before { try write(floor, for: key, durably: durably, in: directory.number) }
        return result
    }

    /// Remembers packets of a key that have been seen published.
    ///
    /// - Parameter now: Microseconds since 1970.
    public func note(_ packets: [SignedPacket], of key: PublicKey, now: UInt64) throws(StateError) {
        do {
            try update(key, durably: false) { floor in
                for packet in packets { floor.note(packet, now: now) }
            }
        } catch { throw error as! StateError }
    }

    /// Where something is kept for a key.
    public func file(_ key: PublicKey, _ kind: String) -> String { "\(path)/\(key.zBase32).\(kind)" }

    private func opened() throws(StateError) -> FileDescriptor {
        do throws(SystemError) { return try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY) } catch { throw .system(path: path, error) }
    }

    private func wait(for directory: borrowing FileDescriptor) throws(StateError) {
        let end = Instant.now + Self.longestUpdate
        while flock(directory.number, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw .system(path: path, SystemError(call: "flock", code: errno)) }
            guard Instant.now < end else { throw .busy(path: path, holder: nil) }
            usleep(UInt32(Self.pause.nanoseconds / 1000))
        }
    }

    /// Writes beside the old file and then replaces it, so that whoever reads sees one or the other, whole.
    private func write(_ floor: Floor, for key: PublicKey, durably: Bool, in directory: Int32) throws(StateError) {
        let (path, draft) = (file(key, "floor"), file(key, "floor.new"))
        do throws(SystemError) {
            let file = try FileDescriptor.open(draft, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
            try writeAll(file.number, Array((JSONValue.object(floor.json(for: key)).text + "\n").utf8))
            if durably { try systemCall("fsync") { fsync(file.number) } }
            try systemCall("rename") { rename(draft, path) }
            if durably { try systemCall("fsync") { fsync(directory) } }
        } catch { throw .system(path: path, error) }
    }
}
