import Glibc
import Platform

/// Tells the service manager that started this process how it is (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names.
/// Without that variable, or when nobody listens, nothing happens.
public enum ServiceManager {
    public static func tellReady() { tell("READY=1") }
    public static func tellStopping() { tell("STOPPING=1") }

    private static func tell(_ state: String) {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }) else { return }
        try? Sockets.sendUnixDatagram(Array(state.utf8), to: path)
    }
}
