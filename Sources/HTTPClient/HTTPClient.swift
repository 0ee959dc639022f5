import CCurl
import EventLoop
import Glibc
import Platform

/// Makes HTTP and HTTPS requests on an event loop, many at a time, and connections to HTTP servers for other protocols.
///
/// Under it is libcurl, which brings proxies, the system's certificates, happy eyeballs and HTTP/2. It is loaded when the first request is
/// made. Everything that comes from the server is bounded.
public final class HTTPClient {
    private let loop: EventLoop
    private let certificates: String?
    private var driver: CurlDriver?
    private var transfers: [ObjectIdentifier: HTTPTransfer] = [:]

    /// - Parameter certificates: A file of certificates (PEM) to trust instead of the system's; nil for those. Unless it is given, the
    ///   environment variable `SSL_CERT_FILE` names it, as for OpenSSL's own programs.
    public init(on loop: EventLoop, certificates: String? = getenv("SSL_CERT_FILE").map { String(cString: $0) }) {
        self.loop = loop
        self.certificates = certificates?.isEmpty == true ? nil : certificates
    }

    deinit { for transfer in transfers.values { transfer.end(in: driver?.multi) } }

    /// Starts a request.
    ///
    /// - Parameter completion: Called once, from the loop and never from within this call, unless the transfer is cancelled first.
    /// - Returns: The transfer, which goes on also when nobody keeps it.
    @discardableResult
    public func send(_ request: HTTPRequest, completion: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void) -> HTTPTransfer {
        let transfer = HTTPTransfer(request, client: self, completion)
        do throws(HTTPFailure) {
            try transfer.start(in: handle(), certificates: certificates)
            transfers[ObjectIdentifier(transfer)] = transfer
        } catch {
            transfer.failLater(error, on: loop)
        }
        return transfer
    }

    /// Connects to the server of an `http` or `https` URL, with TLS for the latter, so that another protocol can be spoken there.
    ///
    /// - Parameter timeout: For everything from look-up to the end of the TLS handshake.
    /// - Returns: The stream, which ends when nobody keeps it.
    public func connect(to url: String, timeout: Duration) -> HTTPStream {
        HTTPStream(to: url, timeout: timeout, certificates: certificates, on: loop)
    }

    /// libcurl's handle, made when it is first asked for.
    private func handle() throws(HTTPFailure) -> OpaquePointer {
        if let driver { return driver.multi }
        let made = try CurlDriver(on: loop)
        made.onWork = { [unowned self] in finishTransfers() }
        driver = made
        return made.multi
    }

    private func finishTransfers() {
        guard let driver else { return }
        // A completion may drop the last reference to this object.
        withExtendedLifetime(self) {
            var ending = keyhole_curl_done
            var reason: UnsafePointer<CChar>?
            var redirected: UnsafePointer<CChar>?
            var status = 0
            while let context = keyhole_curl_next_done(driver.multi, &ending, &reason, &status, &redirected) {
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
        transfer.end(in: driver?.multi)
        transfers[ObjectIdentifier(transfer)] = nil
    }
}
