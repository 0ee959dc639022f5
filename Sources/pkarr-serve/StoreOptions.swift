import ArgumentParser
import DiskCache
import Platform
import Toolkit

/// Where what others have stored here survives the process.
struct StoreOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Keep packets and items in files of this folder, which is made if it is missing.", valueName: "DIR"))
    var store: String?

    @Option(help: ArgumentHelp("How large the files may become together.", valueName: "SIZE"))
    var storeSize = SizeArgument("256M")

    /// What the relay has seen, and what the DHT node keeps for others. Each has half of the room, so that neither can push out the other.
    struct Files {
        var packets: DiskCache
        var items: DiskCache

        var all: [(name: String, file: DiskCache)] { [("packets", packets), ("items", items)] }
    }

    func validate() throws {
        if storeSize.bytes < 2 * DiskCache.smallestCapacity { throw ValidationError("--store-size has to be at least 2M") }
    }

    /// Opens the files; nil when none were asked for.
    func open(log: Log) throws(CommandError) -> Files? {
        guard let store else { return nil }
        do throws(SystemError) { try makeFolder(store) } catch { throw CommandError(.configuration, "--store \(store): \(error.reason)") }
        return Files(packets: try open("packets", in: store, log), items: try open("items", in: store, log))
    }

    private func open(_ name: String, in folder: String, _ log: Log) throws(CommandError) -> DiskCache {
        let path = "\(folder)/\(name).db"
        let file: DiskCache
        do throws(DiskCache.OpenError) { file = try DiskCache(path: path, capacity: storeSize.bytes / 2) } catch {
            switch error {
            case .noLibrary:
                throw CommandError(.configuration, "SQLite can't be loaded", hint: "on Debian it is in the package libsqlite3-0")
            case .inUse:
                throw CommandError(.configuration, "--store \(folder): another pkarr-serve uses it", hint: "give each a folder of its own")
            case .failed(let reason): throw CommandError(.configuration, "\(path): \(reason)")
            }
        }
        if file.hasReplacedDamage {
            log.warning("\(path) could not be read and begins anew; the old one is now \(path).damaged",
                        hint: "what is published comes back by itself within hours")
        }
        file.onFailure = { log.warning("\(path): \($0); what comes is kept in memory only until that is over") }
        return file
    }
}

/// A number of bytes on the command line: `4096`, `64K`, `256M`, `2G`, in powers of 1024.
struct SizeArgument: ExpressibleByArgument, ExpressibleByStringLiteral, CustomStringConvertible {
    var bytes: Int
    let description: String
    var defaultValueDescription: String { description }

    init?(argument: String) {
        guard let size = ByteSize(argument), let bytes = Int(exactly: size.bytes) else { return nil }
        self.bytes = bytes
        description = argument
    }

    /// For defaults in the source; text that is no size is a programmer's error.
    init(stringLiteral value: String) { self = SizeArgument(argument: value)! }
}
