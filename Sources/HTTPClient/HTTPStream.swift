import CCurl
import EventLoop
import Glibc
import Platform

/// A connection to an HTTP server, through a proxy and with TLS as a request's would be, for another protocol to be spoken on it: its bytes
/// in and out, without waiting.
public final class HTTPStream {
    /// Bytes that the kernel may hold unsent. The rest waits with us, where there is still a choice about it.
    private static let unsentInKernel: Int32 = 128 << 10
    /// Bytes sent with one call: with TLS it ends only when all of them are out.
    private static let largestSend = 64 << 10
    /// TCP_NOTSENT_LOWAT, which Glibc's headers lack (linux/tcp.h).
    private static let notSentLowWater: Int32 = 25

    /// Called once, from the loop and never from within ``HTTPClient/connect(to:timeout:)``.
    public var onConnect: ((Result<Void, HTTPFailure>) -> Void)?
    /// Called when what is waited for can be done.
    public var onReady: ((Readiness) -> Void)?
    private let loop: EventLoop
    private var driver: CurlDriver?
    private var transfer: OpaquePointer?
    private var watcher: Watcher?
    private var failing: Timer?
    /// Bytes that OpenSSL has to be given once more.
    private var refused: Int?

    init(to url: String, timeout: Duration, certificates: String?, on loop: EventLoop) {
        self.loop = loop
        do throws(HTTPFailure) { try start(url, timeout, certificates) } catch {
            let timer = Timer(on: loop) { [unowned self] in finish(.failure(error)) }
            timer.start(after: .zero)
            failing = timer
        }
    }

    deinit { close() }

    private func start(_ url: String, _ timeout: Duration, _ certificates: String?) throws(HTTPFailure) {
        let driver = try CurlDriver(on: loop)
        driver.onWork = { [unowned self] in finishConnecting() }
        self.driver = driver
        transfer = try withCurlRequest("GET", url, certificates: certificates) { description in
            description.connect_only = true
            description.context = Unmanaged.passUnretained(self).toOpaque()
            description.connect_timeout_ms = max(1, Int(timeout.millisecondsRoundedUp))
            return keyhole_curl_start(driver.multi, &description)
        }
        if transfer == nil { throw .failed("out of memory") }
    }

    private func finishConnecting() {
        guard let driver, let transfer else { return }
        var ending = keyhole_curl_done
        var reason: UnsafePointer<CChar>?
        var redirected: UnsafePointer<CChar>?
        var status = 0
        guard keyhole_curl_next_done(driver.multi, &ending, &reason, &status, &redirected) != nil else { return }
        let proxyStatus = keyhole_curl_proxy_status(transfer)
        switch ending {
        case keyhole_curl_done: finish(watchSocket(driver, transfer))
        case keyhole_curl_timed_out: finish(.failure(.timedOut))
        case keyhole_curl_bad_url: finish(.failure(.badURL(reason.map { String(cString: $0) } ?? "")))
        case _ where proxyStatus >= 300: finish(.failure(.proxyRefused(status: proxyStatus)))
        default: finish(.failure(.failed(reason.map { String(cString: $0) } ?? "")))
        }
    }

    private func watchSocket(_ driver: CurlDriver, _ transfer: OpaquePointer) -> Result<Void, HTTPFailure> {
        // libcurl's own watcher of the socket has to go first: there can be only one.
        driver.stopWatching()
        let socket = keyhole_curl_socket(transfer)
        guard socket >= 0 else { return .failure(.failed("the connection was lost at once")) }
        do throws(SystemError) {
            try Sockets.setOption(socket, Int32(IPPROTO_TCP), Self.notSentLowWater, Self.unsentInKernel)
            watcher = try Watcher(on: loop, socket) { [unowned self] in onReady?($0) }
            return .success(())
        } catch { return .failure(.failed(error.description)) }
    }

    private func finish(_ result: Result<Void, HTTPFailure>) {
        failing = nil
        let onConnect = onConnect
        self.onConnect = nil
        onConnect?(result)
    }

    /// Sets what ``onReady`` is called for, once the stream is connected.
    public func wait(for readiness: Readiness) { watcher?.wait(for: readiness) }

    /// Receives as many bytes as there are and fit: none at the end of the stream, nil when none have come. Bytes that TLS has decrypted
    /// already are no reason for ``onReady``, so receive until nil.
    public func receive(_ buffer: UnsafeMutableRawBufferPointer) throws(HTTPFailure) -> Int? {
        guard let transfer else { return 0 }
        var reason: UnsafePointer<CChar>?
        let count = keyhole_curl_receive(transfer, buffer.baseAddress, buffer.count, &reason)
        return try Self.count(count, reason)
    }

    /// Sends the first of the bytes; nil when the network takes none now. Then they have to stay where they are until a later call has
    /// sent them.
    public func send(_ bytes: UnsafeRawBufferPointer) throws(HTTPFailure) -> Int? {
        guard let transfer else { return nil }
        let length = refused ?? min(bytes.count, Self.largestSend)
        var reason: UnsafePointer<CChar>?
        let count = try Self.count(keyhole_curl_send(transfer, bytes.baseAddress, length, &reason), reason)
        refused = count == nil ? length : nil
        return count
    }

    private static func count(_ result: Int, _ reason: UnsafePointer<CChar>?) throws(HTTPFailure) -> Int? {
        if result >= 0 { return result }
        if result == Int(keyhole_curl_would_wait) { return nil }
        throw .failed(reason.map { String(cString: $0) } ?? "the connection is broken")
    }

    /// Ends the connection; nothing is called any more.
    public func close() {
        onConnect = nil
        onReady = nil
        failing = nil
        watcher?.cancel()
        watcher = nil
        driver?.stopWatching()
        if let transfer, let driver { keyhole_curl_end(driver.multi, transfer) }
        transfer = nil
        driver = nil
    }
}
