import CCurl
import EventLoop
import Platform

/// Makes HTTP and HTTPS requests on an event loop, many at a time.
///
/// Under it is libcurl, which brings proxies, the system's certificates, happy eyeballs and HTTP/2. It is loaded when the first request is
/// made. Everything that comes from the server is bounded.
public final class HTTPClient {
    private let loop: EventLoop
    private var multi: OpaquePointer?
    private var watchers: [Int32: Watcher] = [:]
    private var timer: Timer?
    private var transfers: [ObjectIdentifier: HTTPTransfer] = [:]

    public init(on loop: EventLoop) { self.loop = loop }

    deinit {
        for transfer in transfers.values { transfer.end(in: multi) }
        if let multi { keyhole_curl_multi_free(multi) }
    }

    /// Starts a request.
    ///
    /// - Parameter completion: Called once, from the loop and never from within this call, unless the transfer is cancelled first.
    /// - Returns: The transfer, which goes on also when nobody keeps it.
    @discardableResult
    public func send(_ request: HTTPRequest, completion: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void) -> HTTPTransfer {
        let transfer = HTTPTransfer(request, client: self, completion)
        do throws(HTTPFailure) {
            try transfer.start(in: handle())
            transfers[ObjectIdentifier(transfer)] = transfer
        } catch {
            transfer.failLater(error, on: loop)
        }
        return transfer
    }

    /// libcurl's handle, made when it is first asked for.
    private func handle() throws(HTTPFailure) -> OpaquePointer {
        if let multi { return multi }
        if let reason = keyhole_curl_load() { throw .libraryMissing(String(cString: reason)) }
        let hooks = keyhole_curl_loop(
            context: Unmanaged.passUnretained(self).toOpaque(),
            watch: { context, socket, poll in HTTPClient.from(context).watch(socket, poll) },
            schedule: { context, milliseconds in HTTPClient.from(context).schedule(milliseconds) })
        timer = Timer(on: loop) { [unowned self] in act(-1, []) }
        guard let made = keyhole_curl_multi_new(hooks) else { throw .failed("out of memory") }
        multi = made
        return made
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPClient {
        Unmanaged<HTTPClient>.fromOpaque(context!).takeUnretainedValue()
    }

    private func watch(_ socket: Int32, _ poll: Int32) {
        guard poll != Int32(keyhole_curl_poll_remove.rawValue) else {
            watchers.removeValue(forKey: socket)?.cancel()
            return
        }
        if watchers[socket] == nil {
            // It fails only for regular files, which libcurl does not wait for.
            watchers[socket] = try? Watcher(on: loop, socket) { [unowned self] readiness in act(socket, readiness) }
        }
        var wanted: Readiness = []
        if poll & Int32(keyhole_curl_poll_in.rawValue) != 0 { wanted.insert(.readable) }
        if poll & Int32(keyhole_curl_poll_out.rawValue) != 0 { wanted.insert(.writable) }
        watchers[socket]?.wait(for: wanted)
    }

    private func schedule(_ milliseconds: Int) {
        if milliseconds < 0 { timer?.stop() } else { timer?.start(after: .milliseconds(milliseconds)) }
    }

    private func act(_ socket: Int32, _ readiness: Readiness) {
        guard let multi else { return }
        // A completion may drop the last reference to this object.
        withExtendedLifetime(self) {
            keyhole_curl_act(multi, socket, readiness.contains(.readable), readiness.contains(.writable))
            var ending = keyhole_curl_done
            var reason: UnsafePointer<CChar>?
            var redirected: UnsafePointer<CChar>?
            var status = 0
            while let context = keyhole_curl_next_done(multi, &ending, &reason, &status, &redirected) {
                let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
                let result = transfer.result(
                    ending, status: status, redirectedTo: redirected.map { String(cString: $0) },
                    reason: reason.map { String(cString: $0) } ?? "")
                forget(transfer)
                transfer.complete(result)
            }
        }
    }

    func forget(_ transfer: HTTPTransfer) {
        transfer.end(in: multi)
        transfers[ObjectIdentifier(transfer)] = nil
    }
}
