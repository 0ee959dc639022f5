import Crypto
import Glibc
import JSON
import Pkarr
import Platform
import Toolkit

/// A file with one `records` object, which may be spread over lines.
enum RecordsFile {
    /// Bytes. A packet holds 1000, so anything near this is the wrong file.
    private static let largest = 1 << 20

    static func read(_ path: String, for key: PublicKey) throws(CommandError) -> [ResourceRecord] {
        let content: [UInt8]
        do throws(SystemError) { content = try readFile(path, limit: largest) } catch {
            throw CommandError(error.code == EACCES ? .permission : .configuration, "records file \(path): \(error.reason)")
        }
        let value: JSONValue
        do throws(JSONSyntaxError) { value = try JSONValue(parsing: content) } catch {
            throw CommandError(.badData, "records file \(path), \(error)")
        }
        do throws(ObjectError) {
            guard let object = value.objectValue else { throw ObjectError("", "expected a JSON object, found \(value.typeName)") }
            return try RecordSet(json: object, for: key).records
        } catch { throw CommandError(.badData, "records file \(path): \(error)") }
    }
}
