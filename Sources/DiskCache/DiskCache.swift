import CSQLite
import Glibc
import Platform

/// A file that keeps small values by key, up to a size; of those not used for longest the first to go.
///
/// A value that ``keep(_:for:age:)`` has returned from survives the end of the process, however it ends. A failure costs what is kept,
/// never the service: values are then not found and not kept until it is over.
public final class DiskCache: Archive {
    /// Why a file can't be used.
    public enum OpenError: Error, Equatable {
        /// SQLite is not installed.
        case noLibrary
        /// Another process has the file.
        case inUse
        case failed(reason: String)
    }

    /// The smallest capacity, in bytes: below, the pages of an empty file would matter.
    public static let smallestCapacity = 1 << 20
    /// Written to the log beyond the capacity before it goes into the file, in bytes.
    public static let logBytes = 8 << 20

    public let path: String
    public let capacity: Int
    /// Whether a file was there that could not be read. It has been set aside with the ending `.damaged`.
    public private(set) var hasReplacedDamage = false
    /// Told of the first failure of a row of them, with the reason.
    public var onFailure: ((String) -> Void)?
    /// Failures since the start.
    public private(set) var failures: UInt64 = 0
    private var isFailing = false
    private var file: CacheFile?

    /// Opens the file or makes it.
    ///
    /// - Parameter capacity: Bytes of the file, at least ``smallestCapacity``. While writing there are up to ``logBytes`` more.
    public init(path: String, capacity: Int) throws(OpenError) {
        self.path = path
        self.capacity = max(capacity, DiskCache.smallestCapacity)
        if keyhole_sqlite_load() != nil { throw .noLibrary }
        do throws(DatabaseError) { try open() } catch where error.isInUse {
            throw .inUse
        } catch {
            throw .failed(reason: error.reason)
        }
    }

    /// Bytes of the file in use.
    public var bytes: Int { attempt { (file: borrowing CacheFile) throws(DatabaseError) in try file.bytes() } ?? 0 }

    public func value(for key: [UInt8]) -> (bytes: [UInt8], age: Duration)? {
        let row = attempt { (file: borrowing CacheFile) throws(DatabaseError) in
            let row = try file.row(for: key)
            if let row { try file.refresh(row, for: key) }
            return row
        } ?? nil
        return row.map { ($0.value, .microseconds(max(0, Int64(WallClock.microseconds) - max(0, $0.time)))) }
    }

    public func keep(_ bytes: [UInt8], for key: [UInt8], age: Duration) {
        attempt(isWrite: true) { (file: borrowing CacheFile) throws(DatabaseError) in
            try file.set(bytes, for: key, time: Int64(WallClock.microseconds) - age.nanoseconds / 1000)
            try file.shrink(to: capacity)
        }
    }

    public func drop(_ key: [UInt8]) {
        attempt(isWrite: true) { (file: borrowing CacheFile) throws(DatabaseError) in try file.remove(key) }
    }

    private func open() throws(DatabaseError) {
        do throws(DatabaseError) { file = try CacheFile(path: path) } catch where error.isDamage {
            // The log belongs to the file; the next one must not be given it.
            rename(path, path + ".damaged")
            for ending in ["-wal", "-shm", "-journal"] { unlink(path + ending) }
            hasReplacedDamage = true
            file = try CacheFile(path: path)
        }
        try file!.shrink(to: capacity)
    }

    @discardableResult
    private func attempt<Result>(isWrite: Bool = false, _ body: (borrowing CacheFile) throws(DatabaseError) -> Result) -> Result? {
        do throws(DatabaseError) {
            if file == nil { try open() }
            let result = try body(file!)
            // Reading works on a full disk, too.
            if isWrite { isFailing = false }
            return result
        } catch {
            failures += 1
            if !isFailing { onFailure?(error.reason) }
            isFailing = true
            // Opened anew next time, and set aside if it can't be.
            if error.isDamage { file = nil }
            return nil
        }
    }
}
