import Crypto
import Glibc
import Platform

/// Files that hold a secret key: 64 hexadecimal digits, as a Pubky homeserver writes them, or 32 raw bytes.
public enum KeyFile {
    /// Reads a secret key.
    ///
    /// - Throws: ``CommandError``: status 77 when the file can't be read or others can read it, 78 when it is missing or holds no key, 64
    ///   when the key itself was given.
    public static func read(_ path: String) throws(CommandError) -> SecretKey {
        // Said like another name it would go into logs as well.
        if path.utf8.count == 64, bytes(hexadecimal: path) != nil {
            throw CommandError(.usage, "the key itself was given instead of the name of its file",
                               hint: "others may have seen it among the processes: make another one, with pkarr-build --generate-key FILE")
        }
        let content = try SecretFile.read(path, kind: "key file", ifMissing: "make one: pkarr-build --generate-key \(printable(path))")
        let trimmed = SecretFile.trimmed(content)
        if let seed = bytes(hexadecimal: String(decoding: trimmed, as: UTF8.self)), let key = SecretKey(seed: seed) { return key }
        if let key = SecretKey(seed: content) { return key }
        throw CommandError(.configuration, "key file \(printable(path)) holds neither 64 hexadecimal digits nor 32 bytes")
    }

    /// Writes a fresh secret key as hexadecimal, mode 0600. An existing file is never overwritten.
    ///
    /// - Throws: ``CommandError``, status 77 or 78.
    public static func generate(_ path: String) throws(CommandError) -> SecretKey {
        forbidCoreDumps()
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
}
