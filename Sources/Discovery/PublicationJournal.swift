import Glibc
import Pkarr
import Platform

/// What a run has stored so far, in a file: a later run that finds it goes on where this one was ended, at whatever moment.
///
/// Lines are only ever appended, whole, so that a kill leaves at worst a torn one at the end, which is cut off. All that is lost with it is
/// the knowledge that one packet need not be put again, and so nothing waits for the disk either.
public final class PublicationJournal {
    /// Why a file can't be used.
    public enum OpenError: Error, Equatable {
        case system(SystemError)
        /// The file is something else; it is left as it is.
        case notAJournal
        /// Another process is working with it.
        case inUse
    }

    /// After an hour a packet is due again whatever a journal says, for nodes may drop what is two hours old (BEP 44).
    public static let lifetime: UInt64 = 3600
    /// Bytes read: 800,000 lines.
    static let largestFile = 64 << 20

    private let path: String
    private var file: FileDescriptor
    /// What earlier runs have stored.
    private let earlier: [String: JournalContents.Entry]

    /// Opens the file, or makes it, and keeps others from working with it for as long as this object lives.
    ///
    /// - Parameter now: Seconds since 1970.
    public init(_ path: String, now: UInt64) throws(OpenError) {
        self.path = path
        do throws(SystemError) { file = try Self.lock(path) } catch { throw error.code == EWOULDBLOCK ? .inUse : .system(error) }
        let contents: JournalContents?
        do throws(SystemError) {
            contents = JournalContents(try readFile(path, limit: Self.largestFile), now: now, lifetime: Self.lifetime)
        } catch { throw .system(error) }
        guard let contents else { throw .notAJournal }
        earlier = contents.entries
        do throws(SystemError) { try tidy(contents) } catch { throw .system(error) }
    }

    /// Packets that earlier runs have stored.
    public var count: Int { earlier.count }

    /// Whether an earlier run has stored this very packet.
    public func holds(_ packet: SignedPacket) -> Bool { earlier[packet.publicKey.zBase32]?.timestamp == packet.timestamp }

    /// Notes that a packet has been stored.
    ///
    /// - Parameter now: Seconds since 1970.
    public func note(_ packet: SignedPacket, now: UInt64) throws(SystemError) {
        let entry = JournalContents.Entry(timestamp: packet.timestamp, storedAt: now)
        try writeAll(file.number, JournalContents.line(key: packet.publicKey.zBase32, entry))
    }

    /// Removes the file: all is done, and the next run begins anew.
    public func remove() throws(SystemError) { try systemCall("unlink") { unlink(path) } }

    private static func lock(_ path: String) throws(SystemError) -> FileDescriptor {
        while true {
            let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_APPEND, mode: 0o644)
            guard try FileStatus(of: file.number).isRegular else { throw SystemError(call: "open", code: EINVAL) }
            try systemCall("flock") { flock(file.number, LOCK_EX | LOCK_NB) }
            // Whoever held the lock until now may have removed or replaced the file between its opening and this.
            var opened = stat(), present = stat()
            try systemCall("fstat") { fstat(file.number, &opened) }
            if stat(path, &present) == 0, opened.st_ino == present.st_ino, opened.st_dev == present.st_dev { return file }
        }
    }

    /// Cuts off a torn line, and lines that count no more once they are most of the file.
    private func tidy(_ contents: JournalContents) throws(SystemError) {
        if contents.entries.isEmpty {
            try systemCall("ftruncate") { ftruncate(file.number, 0) }
            try writeAll(file.number, JournalContents.heading)
        } else if contents.uselessLines > contents.entries.count {
            // Written beside and put in its place, so that a kill leaves the one or the other. It is locked before it is there.
            let beside = path + ".new"
            _ = unlink(beside)
            let new = try Self.lock(beside)
            try writeAll(new.number, contents.compacted)
            try systemCall("rename") { rename(beside, path) }
            file = new
        } else {
            try systemCall("ftruncate") { ftruncate(file.number, off_t(contents.wholeBytes)) }
        }
    }
}
