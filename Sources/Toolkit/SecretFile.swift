import Glibc
import Platform

/// Files that only their owner may read.
enum SecretFile {
    /// A secret is a few dozen characters and some white space; anything much larger is the wrong file.
    private static let largest = 1024

    /// Reads a file whole.
    ///
    /// - Parameters:
    ///   - kind: What the file is, for messages, such as `key file`.
    ///   - hint: What to do when there is none.
    /// - Throws: ``CommandError``: status 77 when the file can't be read or others can read it, 78 when it is missing.
    static func read(_ path: String, kind: String, ifMissing hint: String? = nil) throws(CommandError) -> [UInt8] {
        forbidCoreDumps()
        let shown = printable(path)
        do throws(SystemError) {
            let file = try FileDescriptor.open(path, O_RDONLY)
            let status = try FileStatus(of: file.number)
            guard status.isRegular else { throw SystemError(call: "open", code: EISDIR) }
            guard status.permissions & (isCredential(path) ? 0o037 : 0o077) == 0 else {
                throw SystemError(call: "mode", code: EPERM)
            }
            return try readBytes(file.number, count: largest)
        } catch {
            switch (error.call, error.code) {
            case ("mode", _):
                throw CommandError(.permission, "\(kind) \(shown) can be read or changed by others", hint: "chmod 600 \(shown)")
            case (_, EACCES), (_, EPERM): throw CommandError(.permission, "\(kind) \(shown): \(error.reason)")
            case (_, ENOENT): throw CommandError(.configuration, "\(kind) \(shown) does not exist", hint: hint)
            case (_, EISDIR): throw CommandError(.configuration, "\(kind) \(shown) is not a regular file")
            default: throw CommandError(.configuration, "\(kind) \(shown): \(error.reason)")
            }
        }
    }

    /// Whether the service manager has handed the file over (systemd.exec(5), `LoadCredential=`). Nobody else gets into the folder, and where
    /// the service's user may read the file by an access control list, the group's bits show what that list allows.
    private static func isCredential(_ path: String) -> Bool {
        getenv("CREDENTIALS_DIRECTORY").map { parentFolder(of: path) == String(cString: $0) } ?? false
    }

    static func trimmed(_ content: [UInt8]) -> [UInt8] {
        content.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
}
