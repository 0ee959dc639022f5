import CSQLite

/// A result of SQLite that is no success.
struct DatabaseError: Error, Equatable {
    var code: Int32

    var reason: String { keyhole_sqlite_reason(code).map { String(cString: $0) } ?? "error \(code)" }
    /// The file is not what this has written, or not any more.
    var isDamage: Bool { code & 0xff == SQLITE_CORRUPT || code & 0xff == SQLITE_NOTADB }
    var isInUse: Bool { code & 0xff == SQLITE_BUSY || code & 0xff == SQLITE_LOCKED }

    static func check(_ code: Int32) throws(DatabaseError) {
        if code != SQLITE_OK { throw DatabaseError(code: code) }
    }
}

/// The owner of an open database.
struct Database: ~Copyable {
    private let pointer: OpaquePointer

    init(path: String) throws(DatabaseError) {
        var pointer: OpaquePointer?
        let code = keyhole_sqlite_open(path, &pointer)
        guard code == SQLITE_OK, let pointer else {
            keyhole_sqlite_close(pointer)
            throw DatabaseError(code: code)
        }
        self.pointer = pointer
    }

    deinit { keyhole_sqlite_close(pointer) }

    func execute(_ sql: String) throws(DatabaseError) { try DatabaseError.check(keyhole_sqlite_exec(pointer, sql)) }

    func prepare(_ sql: String) throws(DatabaseError) -> Statement {
        var statement: OpaquePointer?
        try DatabaseError.check(keyhole_sqlite_prepare(pointer, sql, &statement))
        return Statement(owning: statement!)
    }
}

/// The owner of a prepared statement, which is run once for each call.
struct Statement: ~Copyable {
    enum Value {
        case blob([UInt8])
        case integer(Int64)
    }

    /// The present row of a result.
    struct Row {
        fileprivate let pointer: OpaquePointer

        func integer(_ column: Int32) -> Int64 { keyhole_sqlite_integer(pointer, column) }

        func blob(_ column: Int32) -> [UInt8] {
            let start = keyhole_sqlite_blob(pointer, column)
            return Array(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(keyhole_sqlite_blob_count(pointer, column))))
        }
    }

    private let pointer: OpaquePointer

    fileprivate init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { keyhole_sqlite_finalize(pointer) }

    /// Runs the statement with its parameters. The first row, if there is one, is read by `read`.
    @discardableResult
    func run<Result>(_ values: [Value] = [], _ read: (Row) -> Result = { _ in }) throws(DatabaseError) -> Result? {
        defer { keyhole_sqlite_reset(pointer) }
        for (index, value) in values.enumerated() {
            switch value {
            case .blob(let bytes): try DatabaseError.check(keyhole_sqlite_bind_blob(pointer, Int32(index + 1), bytes, Int32(bytes.count)))
            case .integer(let number): try DatabaseError.check(keyhole_sqlite_bind_integer(pointer, Int32(index + 1), number))
            }
        }
        switch keyhole_sqlite_step(pointer) {
        case SQLITE_ROW: return read(Row(pointer: pointer))
        case SQLITE_DONE: return nil
        case let code: throw DatabaseError(code: code)
        }
    }
}
