import Glibc
import IrohRelay
import Platform
import TLS
import Toolkit

/// The files that the command reads at its start and on SIGHUP.
enum RelayFiles {
    /// A list of a hundred thousand keys.
    private static let largestAccessList = 8 << 20
    /// A chain of a dozen certificates.
    private static let largestCertificate = 256 << 10

    /// Reads an access list.
    ///
    /// - Throws: ``CommandError``: status 77 when it can't be read or holds tokens that others can read, 78 for anything else.
    static func access(_ path: String) throws(CommandError) -> RelayAccess {
        let file = try read(path, "access list", limit: largestAccessList)
        let access: RelayAccess
        do throws(RelayAccess.SyntaxError) { access = try RelayAccess(parsing: file.content) } catch {
            throw CommandError(.configuration, "access list \(shown(path)), line \(error.line): \(printable(error.reason))")
        }
        if access.isSecret, file.permissions & 0o007 != 0 {
            throw CommandError(.permission, "access list \(shown(path)) holds tokens and can be read by others", hint: "chmod o= \(shown(path))")
        }
        return access
    }

    /// Reads a certificate chain and its key.
    ///
    /// - Throws: ``CommandError``: status 77 when they can't be read or others can read the key, 78 for anything else.
    static func credentials(certificate: String, key: String) throws(CommandError) -> TLSCredentials {
        let chain = try read(certificate, "certificate", limit: largestCertificate)
        let secret = try read(key, "certificate key", limit: largestCertificate)
        if secret.permissions & 0o007 != 0 {
            throw CommandError(.permission, "certificate key \(shown(key)) can be read by others", hint: "chmod o= \(shown(key))")
        }
        do throws(TLSError) { return try TLSCredentials(chain: chain.content, key: secret.content) } catch {
            throw CommandError(.configuration, "certificate \(shown(certificate)) with key \(shown(key)): \(error)",
                               hint: "both are PEM, the key is not encrypted, and it is the first certificate's")
        }
    }

    private static func read(_ path: String, _ what: String, limit: Int) throws(CommandError) -> (content: [UInt8], permissions: UInt32) {
        forbidCoreDumps()
        do throws(SystemError) {
            let file = try FileDescriptor.open(path, O_RDONLY)
            let permissions = try FileStatus(of: file.number).permissions
            return (try readFile(path, limit: limit), permissions)
        } catch {
            let status: ExitStatus = error.code == EACCES || error.code == EPERM ? .permission : .configuration
            throw CommandError(status, "\(what) \(shown(path)): \(error.reason)")
        }
    }

    private static func shown(_ path: String) -> String { printable(path) }
}
