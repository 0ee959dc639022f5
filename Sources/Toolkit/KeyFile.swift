import Crypto
import Glibc
import Platform

/// Files that hold a secret key: 64 hexadecimal digits, as a Pubky homeserver writes them, or 32 raw bytes.
public enum KeyFile {
    /// A key file is 32 bytes or 64 digits and some white space; anything much larger is the wrong file.
    private static let largest = 1024

    /// Reads a secret key.
    ///
    /// - Throws: ``CommandError``: status 77 when the file can't be read or others can read it, 78 when it is missing or holds no key.
    public static func read(_ path: String) throws(CommandError) -> SecretKey {
        let shown = printable(path)
        let content: [UInt8]
        do throws(SystemError) {
            let file = try FileDescriptor.open(path, O_RDONLY)
            let status = try FileStatus(of: file.number)
            guard status.isRegular else { throw SystemError(call: "open", code: EISDIR) }
            guard status.permissions & 0o077 == 0 else {
                throw SystemError(call: "mode", code: EPERM)
            }
            content = try readBytes(file.number, count: largest)
        } catch {
            switch (error.call, error.code) {
            case ("mode", _):
                throw CommandError(.permission, "key file \(shown) can be read or changed by others", hint: "chmod 600 \(shown)")
            case (_, EACCES), (_, EPERM): throw CommandError(.permission, "key file \(shown): \(error.reason)")
            case (_, ENOENT):
                throw CommandError(.configuration, "key file \(shown) does not exist", hint: "make one: pkarr-build --generate-key \(shown)")
            case (_, EISDIR): throw CommandError(.configuration, "key file \(shown) is not a regular file")
            default: throw CommandError(.configuration, "key file \(shown): \(error.reason)")
            }
        }
        let trimmed = content.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        if let seed = bytes(hexadecimal: String(decoding: trimmed, as: UTF8.self)), let key = SecretKey(seed: seed) { return key }
        if let key = SecretKey(seed: content) { return key }
        throw CommandError(.configuration, "key file \(shown) holds neither 64 hexadecimal digits nor 32 bytes")
    }

    /// Writes a fresh secret key as hexadecimal, mode 0600. An existing file is never overwritten.
    ///
    /// - Throws: ``CommandError``, status 77 or 78.
    public static func generate(_ path: String) throws(CommandError) -> SecretKey {
        let key = SecretKey.generate()
        let shown = printable(path)
        do throws(SystemError) {
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try key.withSeed { seed throws(SystemError) in try writeAll(file.number, Array((hexadecimal(seed) + "\n").utf8)) }
            try systemCall("fsync") { fsync(file.number) }
        } catch {
            switch error.code {
            case EEXIST: throw CommandError(.configuration, "\(shown) exists already", hint: "choose another name; a lost key can't be had back")
            case EACCES, EPERM, EROFS: throw CommandError(.permission, "can't write \(shown): \(error.reason)")
            default: throw CommandError(.configuration, "can't write \(shown): \(error.reason)")
            }
        }
        return key
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
}
