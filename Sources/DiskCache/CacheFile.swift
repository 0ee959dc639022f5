/// The table of a ``DiskCache`` and its statements.
///
/// Rows are in the order of their last use: whatever is written or moved gets the next number. What was not used for longest is therefore
/// together, and when it goes, whole pages are free for what comes; nothing ever has to be compacted.
struct CacheFile: ~Copyable {
    struct Row {
        var number: Int64
        var value: [UInt8]
        /// Microseconds since 1970.
        var time: Int64
    }

    private static let pageBytes = 4096
    /// `user_version` of a file that this code reads.
    private static let version = 1
    /// Rows that go at once: some twenty pages of packets.
    private static let evictedRows = 64
    // Write-ahead log without a sync at each commit: what was committed outlives the process, and a power failure costs at most what was
    // written since the last checkpoint, never the file (sqlite.org/pragma.html#pragma_synchronous). One process has the file for itself.
    private static let settings = """
        PRAGMA page_size = \(pageBytes);
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        PRAGMA journal_size_limit = 4194304;
        PRAGMA cache_size = -4096;
        PRAGMA mmap_size = 0;
        BEGIN IMMEDIATE;
        CREATE TABLE IF NOT EXISTS entries
            (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, time INTEGER NOT NULL);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    private let select: Statement
    private let insert: Statement
    private let delete: Statement
    private let move: Statement
    private let bounds: Statement
    private let evict: Statement
    private let usage: Statement
    private let database: Database

    init(path: String) throws(DatabaseError) {
        let database = try Database(path: path)
        let present = try database.prepare("PRAGMA user_version").run { $0.integer(0) } ?? 0
        guard present == 0 || present == CacheFile.version else { throw DatabaseError(code: 26) }
        try database.execute(CacheFile.settings)
        let select = try database.prepare("SELECT number, value, time FROM entries WHERE key = ?")
        let insert = try database.prepare("INSERT OR REPLACE INTO entries (key, value, time) VALUES (?, ?, ?)")
        let delete = try database.prepare("DELETE FROM entries WHERE key = ?")
        let move = try database.prepare("UPDATE entries SET number = (SELECT max(number) + 1 FROM entries) WHERE key = ?")
        let bounds = try database.prepare("SELECT (SELECT min(number) FROM entries), (SELECT max(number) FROM entries)")
        let evict = try database.prepare("""
            DELETE FROM entries WHERE number <=
            ifnull((SELECT number FROM entries ORDER BY number LIMIT 1 OFFSET \(CacheFile.evictedRows - 1)),
                (SELECT max(number) FROM entries))
            """)
        let usage = try database.prepare("""
            SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count)
            """)
        // All at once: a structure that can't be copied can't be half there when something throws.
        self.select = select
        self.insert = insert
        self.delete = delete
        self.move = move
        self.bounds = bounds
        self.evict = evict
        self.usage = usage
        self.database = database
    }

    /// Bytes of the file that are in use.
    func bytes() throws(DatabaseError) -> Int {
        try usage.run { Int($0.integer(0) - $0.integer(1)) * CacheFile.pageBytes } ?? 0
    }

    func row(for key: [UInt8]) throws(DatabaseError) -> Row? {
        try select.run([.blob(key)]) { Row(number: $0.integer(0), value: $0.blob(1), time: $0.integer(2)) }
    }

    func set(_ value: [UInt8], for key: [UInt8], time: Int64) throws(DatabaseError) {
        try insert.run([.blob(key), .blob(value), .integer(time)])
    }

    func remove(_ key: [UInt8]) throws(DatabaseError) { try delete.run([.blob(key)]) }

    /// Makes a row the last to go if it is among the older half: so reading mostly costs no writing.
    func refresh(_ row: Row, for key: [UInt8]) throws(DatabaseError) {
        let middle = try bounds.run { $0.integer(0) + ($0.integer(1) - $0.integer(0)) / 2 } ?? 0
        if row.number < middle { try move.run([.blob(key)]) }
    }

    /// Drops what was not used for longest until no more than so many bytes are in use.
    func shrink(to capacity: Int) throws(DatabaseError) {
        var bytes = try bytes()
        while bytes > capacity {
            try evict.run()
            // An empty table has some pages as well.
            let last = try bounds.run { $0.integer(1) } ?? 0
            if last == 0 { return }
            bytes = try self.bytes()
        }
    }
}
