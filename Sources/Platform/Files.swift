import CPlatform
import Glibc

/// What of a file's status matters here.
public struct FileStatus: Sendable {
    /// Permission bits (`0o600`).
    public var permissions: UInt32
    public var owner: UInt32
    /// Bytes.
    public var size: Int64
    public var isRegular: Bool
    public var isPipe: Bool
    public var isSocket: Bool

    public init(of descriptor: Int32) throws(SystemError) {
        var raw = keyhole_file_status()
        try systemCall("fstat") { keyhole_file_status(descriptor, &raw) }
        permissions = raw.mode & 0o7777
        owner = raw.owner
        size = raw.size
        isRegular = raw.mode & UInt32(S_IFMT) == UInt32(S_IFREG)
        isPipe = raw.mode & UInt32(S_IFMT) == UInt32(S_IFIFO)
        isSocket = raw.mode & UInt32(S_IFMT) == UInt32(S_IFSOCK)
    }
}

/// Reads a whole file.
///
/// - Parameter limit: More bytes than this are refused with `EFBIG`.
public func readFile(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    let file = try FileDescriptor.open(path, O_RDONLY)
    var bytes: [UInt8] = []
    while true {
        let more = try readBytes(file.number, count: 65536)
        if more.isEmpty { return bytes }
        bytes += more
        if bytes.count > limit { throw SystemError(call: "read", code: EFBIG) }
    }
}

/// Writes a file beside the one of that name and then puts it in its place, so that whoever reads sees the one or the other, whole. Of
/// several processes that do so the last one's stays.
///
/// - Parameter mode: The permission bits that it gets, whatever the process's file mode creation mask.
public func replaceFile(_ path: String, with bytes: borrowing [UInt8], mode: UInt32) throws(SystemError) {
    let draft = "\(path).\(getpid())"
    do throws(SystemError) {
        let file = try FileDescriptor.open(draft, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try systemCall("fchmod") { fchmod(file.number, mode) }
        try writeAll(file.number, bytes)
        try systemCall("rename") { rename(draft, path) }
    } catch {
        unlink(draft)
        throw error
    }
}

/// Makes a folder (mode 0700) unless it is there; the one that it is to be in has to be.
public func makeFolder(_ path: String) throws(SystemError) {
    do throws(SystemError) { try systemCall("mkdir") { mkdir(path, 0o700) } } catch where error.code == EEXIST {}
}

/// The folder that a file is in, by its path alone.
public func parentFolder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
