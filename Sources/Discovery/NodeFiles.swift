import Glibc
import Mainline
import Platform

/// Where a ``DHTNode`` remembers between runs: the files `nodes4` and `nodes6` of a directory. They only make the next run quick, so whatever
/// is wrong with them is told and does no harm.
public struct NodeFiles {
    private let directory: String
    private let warn: (String) -> Void

    /// - Parameters:
    ///   - directory: Must exist.
    ///   - warn: Is given a sentence when something is wrong.
    public init(in directory: String, warn: @escaping (String) -> Void) {
        self.directory = directory
        self.warn = warn
    }

    private func path(isV6: Bool) -> String { "\(directory)/\(isV6 ? "nodes6" : "nodes4")" }

    /// Whether there is anything to begin with.
    public func exist(isV6: Bool) -> Bool { access(path(isV6: isV6), F_OK) == 0 }

    func load(isV6: Bool) -> NodeMemory? {
        let path = path(isV6: isV6)
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try readFile(path, limit: NodeMemory.largestText) } catch {
            if error.code != ENOENT { warn("\(path) can't be read, and nobody is known from before: \(error.reason)") }
            return nil
        }
        do throws(NodeMemory.ReadError) { return try NodeMemory(bytes) } catch {
            warn("\(path), \(error): nobody is known from before, and the file is written anew")
            return nil
        }
    }

    func save(_ memory: NodeMemory, isV6: Bool) {
        let path = path(isV6: isV6)
        do throws(SystemError) { try replaceFile(path, with: Array(memory.text.utf8), mode: 0o600) } catch {
            warn("\(path) can't be written: \(error.reason)")
        }
    }
}
