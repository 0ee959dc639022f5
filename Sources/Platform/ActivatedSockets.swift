import CPlatform
import Glibc

/// Sockets that a service manager has opened for this process (`sd_listen_fds(3)`): they outlive it, so that a restart refuses nobody.
public enum ActivatedSockets {
    private static let first: Int32 = 3

    /// A socket with the name that its unit gives it (`FileDescriptorName=`).
    public struct Socket {
        public var name: String
        public var descriptor: Int32
    }

    /// The sockets that were handed over, non-blocking and close-on-exec, for the caller to own; to be asked for once. None when the
    /// environment is not about this process.
    public static func take(environment: [String] = processEnvironment(), process: Int32 = getpid()) throws(SystemError) -> [Socket] {
        func value(_ name: String) -> String? { environment.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) } }
        guard value("LISTEN_PID").flatMap({ Int32($0) }) == process, let count = value("LISTEN_FDS").flatMap({ Int32($0) }), count > 0 else {
            return []
        }
        let names = (value("LISTEN_FDNAMES") ?? "").split(separator: ":", omittingEmptySubsequences: false)
        var sockets: [Socket] = []
        for index in 0..<count {
            let descriptor = first + index
            try systemCall("fcntl") { fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            try Sockets.setNonblocking(descriptor)
            sockets.append(Socket(name: Int(index) < names.count ? String(names[Int(index)]) : "", descriptor: descriptor))
        }
        return sockets
    }
}
