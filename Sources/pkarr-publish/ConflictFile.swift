import Discovery
import Glibc
import JSON
import Platform
import Toolkit

/// Where receipts go that show what others have published.
struct ConflictFile {
    private let path: String
    private let descriptor: Int32

    /// Opens the file, which is made if need be, to write at its end. For a named pipe this waits for its reader.
    init(_ path: String) throws(CommandError) {
        self.path = path
        do throws(SystemError) {
            descriptor = try FileDescriptor.open(path, O_WRONLY | O_APPEND | O_CREAT, mode: 0o600).release()
        } catch {
            throw CommandError(error.code == EACCES ? .permission : .configuration, "--conflicts \(printable(path)): \(error.reason)")
        }
    }

    func note(_ receipt: Receipt) throws(CommandError) {
        guard !receipt.unmerged.isEmpty else { return }
        do throws(SystemError) { try writeAll(descriptor, Array((JSONValue.object(receipt.json).text + "\n").utf8)) } catch {
            throw CommandError(.outputFailed, "--conflicts \(printable(path)): can't write: \(error.reason)")
        }
    }
}
