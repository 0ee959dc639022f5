import Platform

/// Why the state directory can't be used.
public enum StateError: Error, Equatable, CustomStringConvertible {
    /// A system call has failed on this path.
    case system(path: String, SystemError)
    /// A file holds something else than it should.
    case damaged(path: String, reason: String)
    /// Another process holds a lock for too long; its process id, if it has left one.
    case busy(path: String, holder: Int?)

    public var description: String {
        switch self {
        case .system(let path, let error): "state \(path): \(error.reason)"
        case .damaged(let path, let reason): "state file \(path) is damaged: \(reason)"
        case .busy(let path, let holder): "\(holder.map { "process \($0)" } ?? "another process") holds the lock \(path)"
        }
    }
}
