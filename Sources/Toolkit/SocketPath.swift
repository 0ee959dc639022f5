import Platform

/// Refuses a path that can never be a Unix socket's; one where there is no socket yet is fine.
///
/// - Throws: ``CommandError``, status 78.
public func checkSocketPath(_ path: String) throws(CommandError) {
    guard path.utf8.count > Sockets.longestUnixPath else { return }
    throw CommandError(.configuration, "socket \(printable(path)): the path is too long: a Unix socket's has at most \(Sockets.longestUnixPath) bytes")
}
