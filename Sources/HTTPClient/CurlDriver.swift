import CCurl
import EventLoop
import Platform

/// Owns a multi handle of libcurl and lets it work on the event loop.
final class CurlDriver {
    let multi: OpaquePointer
    /// Called after libcurl has worked: transfers may be done.
    var onWork: (() -> Void)?
    private let loop: EventLoop
    private let hooks = Hooks()

    /// What libcurl calls back into. It is an object of its own, because libcurl calls also while its handle is freed.
    private final class Hooks {
        weak var driver: CurlDriver?
        var watchers: [Int32: Watcher] = [:]
        var timer: Timer?
        var isWatching = true
    }

    init(on loop: EventLoop) throws(HTTPFailure) {
        if let reason = keyhole_curl_load() { throw .libraryMissing(String(cString: reason)) }
        let loopHooks = keyhole_curl_loop(
            context: Unmanaged.passUnretained(hooks).toOpaque(),
            watch: { context, socket, poll in CurlDriver.hooks(context).driver?.watch(socket, poll) },
            schedule: { context, milliseconds in CurlDriver.hooks(context).driver?.schedule(milliseconds) })
        guard let multi = keyhole_curl_multi_new(loopHooks) else { throw .failed("out of memory") }
        self.multi = multi
        self.loop = loop
        hooks.driver = self
        hooks.timer = Timer(on: loop) { [unowned self] in act(-1, []) }
    }

    deinit {
        // Descriptors are closed next: nobody may watch them then.
        stopWatching()
        keyhole_curl_multi_free(multi)
    }

    private static func hooks(_ context: UnsafeMutableRawPointer?) -> Hooks {
        Unmanaged<Hooks>.fromOpaque(context!).takeUnretainedValue()
    }

    /// Leaves the sockets to others for good.
    func stopWatching() {
        hooks.isWatching = false
        hooks.watchers.values.forEach { $0.cancel() }
        hooks.watchers = [:]
        hooks.timer?.stop()
    }

    private func watch(_ socket: Int32, _ poll: Int32) {
        guard hooks.isWatching else { return }
        guard poll != Int32(keyhole_curl_poll_remove.rawValue) else {
            hooks.watchers.removeValue(forKey: socket)?.cancel()
            return
        }
        if hooks.watchers[socket] == nil {
            // It fails only for regular files, which libcurl does not wait for.
            hooks.watchers[socket] = try? Watcher(on: loop, socket) { [unowned self] readiness in act(socket, readiness) }
        }
        var wanted: Readiness = []
        if poll & Int32(keyhole_curl_poll_in.rawValue) != 0 { wanted.insert(.readable) }
        if poll & Int32(keyhole_curl_poll_out.rawValue) != 0 { wanted.insert(.writable) }
        hooks.watchers[socket]?.wait(for: wanted)
    }

    private func schedule(_ milliseconds: Int) {
        guard hooks.isWatching else { return }
        if milliseconds < 0 { hooks.timer?.stop() } else { hooks.timer?.start(after: .milliseconds(milliseconds)) }
    }

    private func act(_ socket: Int32, _ readiness: Readiness) {
        // Who is told may drop the last reference to this object.
        withExtendedLifetime(self) {
            keyhole_curl_act(multi, socket, readiness.contains(.readable), readiness.contains(.writable))
            onWork?()
        }
    }
}
