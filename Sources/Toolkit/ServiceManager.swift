import Glibc
import Platform

/// Tells the service manager that started this process how it is (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names.
/// Without that variable, or when nobody listens, nothing happens.
public enum ServiceManager {
    public static func tellReady() { tell("READY=1") }

    /// - Parameter status: One line that a person sees beside the service's state.
    public static func tellReady(status: String) { tell("READY=1\nSTATUS=\(printable(status))") }

    public static func tellStopping() { tell("STOPPING=1") }

    static func tellAlive() { tell("WATCHDOG=1") }

    /// Microseconds within which the service manager wants to hear from this process; nil when it asks nothing of it
    /// (sd_watchdog_enabled(3)). A time without a process id is for whoever finds it.
    static var patience: Int64? { given.patience }

    private static func tell(_ state: String) {
        guard let path = given.socket else { return }
        try? Sockets.sendUnixDatagram(Array(state.utf8), to: path)
    }

    /// What the environment says, taken out of it: a program that this process starts is no part of the service.
    private static let given: (socket: String?, patience: Int64?) = {
        func take(_ name: String) -> String? {
            defer { unsetenv(name) }
            return getenv(name).map { String(cString: $0) }
        }
        let (socket, time, process) = (take("NOTIFY_SOCKET"), take("WATCHDOG_USEC"), take("WATCHDOG_PID"))
        guard let patience = time.flatMap({ Int64($0) }), patience > 0, process.map({ $0 == "\(getpid())" }) ?? true else { return (socket, nil) }
        return (socket, patience)
    }()
}
