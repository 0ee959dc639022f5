import DiskCache
import Glibc
import Platform
import Testing

/// A folder of its own for each test, removed with what is in it.
private final class Folder {
    let path: String

    init() {
        var template = Array("/tmp/keyhole-cache-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit {
        for ending in ["", "-wal", "-shm", ".damaged"] { unlink(file + ending) }
        rmdir(path)
    }

    var file: String { path + "/cache.db" }
    func open(capacity: Int = 1 << 20) throws -> DiskCache { try DiskCache(path: file, capacity: capacity) }

    var size: Int {
        var status = stat()
        return stat(file, &status) == 0 ? Int(status.st_size) : 0
    }
}

private func key(_ number: Int) -> [UInt8] { withUnsafeBytes(of: UInt64(number).bigEndian, Array.init) + [7, 7] }
private func value(_ number: Int, count: Int = 1000) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count) }

@Test("what is kept is found again, also after opening anew, with its age")
func roundTrip() throws {
    let folder = Folder()
    var cache: DiskCache? = try folder.open()
    cache!.keep([1, 2], for: key(1), age: .seconds(100))
    cache!.keep([], for: key(2), age: .zero)
    cache!.keep([3], for: key(1), age: .seconds(5000))
    cache!.keep([4], for: key(4), age: .zero)
    cache!.drop(key(4))
    for _ in 0..<2 {
        let entry = cache!.value(for: key(1))
        #expect(entry?.bytes == [3])
        #expect(entry!.age >= .seconds(5000) && entry!.age < .seconds(5100))
        #expect(cache!.value(for: key(2))?.bytes == [])
        #expect(cache!.value(for: key(3)) == nil && cache!.value(for: key(4)) == nil)
        #expect(cache!.failures == 0 && !cache!.hasReplacedDamage)
        cache = nil
        cache = try folder.open()
    }
}

@Test("a clock that was set back makes nothing older than new")
func clockSetBack() throws {
    let folder = Folder()
    let cache = try folder.open()
    cache.keep([1], for: key(1), age: .seconds(-1_000_000))
    #expect(cache.value(for: key(1))!.age == .zero)
}

@Test("the file keeps within its size, and what was used lately stays")
func bounded() throws {
    let folder = Folder()
    let cache = try folder.open()
    for number in 0..<5000 {
        cache.keep(value(number), for: key(number), age: .zero)
        if number % 50 == 0 { #expect(cache.value(for: key(0)) != nil) }
        #expect(cache.bytes <= 1 << 20)
    }
    #expect(cache.value(for: key(0))?.bytes == value(0))
    #expect(cache.value(for: key(4999))?.bytes == value(4999))
    #expect(cache.value(for: key(100)) == nil)
    #expect((0..<5000).count { cache.value(for: key($0)) != nil } > 600)
    #expect(folder.size <= 1 << 20 + 65536)
}

@Test("values that are replaced again and again leave the room to others")
func replaced() throws {
    let folder = Folder()
    let cache = try folder.open()
    for number in 0..<5000 { cache.keep(value(number), for: key(number % 600), age: .zero) }
    #expect((0..<600).allSatisfy { cache.value(for: key($0)) != nil })
}

@Test("a smaller capacity than last time is kept to at once")
func shrinks() throws {
    let folder = Folder()
    var cache: DiskCache? = try folder.open(capacity: 4 << 20)
    for number in 0..<3000 { cache!.keep(value(number), for: key(number), age: .zero) }
    #expect(cache!.bytes > 2 << 20)
    cache = nil
    cache = try folder.open()
    #expect(cache!.bytes <= 1 << 20)
    #expect(cache!.value(for: key(2999)) != nil && cache!.value(for: key(0)) == nil)
}

@Test("a file belongs to one process at a time")
func inUse() throws {
    let folder = Folder()
    let cache = try folder.open()
    #expect(throws: DiskCache.OpenError.inUse) { try folder.open() }
    cache.keep([1], for: key(1), age: .zero)
    #expect(cache.value(for: key(1)) != nil)
}

@Test("a file that is no database is set aside, and a folder that is missing is an error")
func damagedFromTheStart() throws {
    let folder = Folder()
    let file = try FileDescriptor.open(folder.file, O_WRONLY | O_CREAT, mode: 0o600)
    try writeAll(file.number, value(9, count: 10_000))
    let cache = try folder.open()
    #expect(cache.hasReplacedDamage)
    cache.keep([1], for: key(1), age: .zero)
    #expect(cache.value(for: key(1))?.bytes == [1])
    #expect(try readFile(folder.file + ".damaged", limit: 20_000) == value(9, count: 10_000))
    #expect(throws: DiskCache.OpenError.failed(reason: "unable to open database file")) {
        try DiskCache(path: folder.path + "/none/cache.db", capacity: 0)
    }
}

@Test("bytes overwritten anywhere in the file never stop the service")
func damagedAnywhere() throws {
    for round in 0..<12 {
        let folder = Folder()
        var cache: DiskCache? = try folder.open()
        for number in 0..<300 { cache!.keep(value(number), for: key(number), age: .zero) }
        cache = nil
        let file = try FileDescriptor.open(folder.file, O_WRONLY)
        let size = folder.size
        // Another place in each round, evenly over the file.
        lseek(file.number, off_t(size / 12 * round), Int32(SEEK_SET))
        try writeAll(file.number, [UInt8](repeating: 0xa5, count: 700))
        let again = try folder.open()
        for number in 0..<300 {
            _ = again.value(for: key(number))
            again.keep(value(number), for: key(number), age: .zero)
        }
        for number in 300..<400 { again.keep(value(number), for: key(number), age: .zero) }
        #expect((300..<400).count { again.value(for: key($0))?.bytes == value($0) } >= 90)
    }
}
