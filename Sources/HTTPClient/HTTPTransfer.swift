import CCurl
import EventLoop
import Platform

/// A request under way.
public final class HTTPTransfer {
    /// A relay that does not even accept within this time will hardly answer in time.
    private static let connectTimeout: Duration = .seconds(5)
    /// Enough for a moved relay, too few to be led about.
    private static let mostRedirects = 3
    /// All header lines of all responses of a transfer, in bytes. Real ones have less than a thousand.
    private static let largestHeaders = 32 * 1024

    private let request: HTTPRequest
    private weak var client: HTTPClient?
    private var completion: ((Result<HTTPResponse, HTTPFailure>) -> Void)?
    private var handle: OpaquePointer?
    private var failing: Timer?
    private var headerBytes = 0
    private var headers: [(name: String, value: String)] = []
    private var body: [UInt8] = []

    init(_ request: HTTPRequest, client: HTTPClient, _ completion: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void) {
        self.request = request
        self.client = client
        self.completion = completion
    }

    /// Gives up; the completion is not called any more. Harmless when done.
    public func cancel() {
        completion = nil
        failing?.stop()
        client?.forget(self)
    }

    /// - Parameter certificates: See ``HTTPClient/init(on:certificates:)``.
    func start(in multi: OpaquePointer, certificates: String?) throws(HTTPFailure) {
        let lines = request.headers.map { "\($0.name): \($0.value)" }
        // curl would ask for permission to send a larger body, and wait for it.
        let all = lines + ["Expect:"]
        guard !all.contains(where: { $0.utf8.contains(where: { $0 == 0x0a || $0 == 0x0d || $0 == 0 }) }) else {
            throw .failed("a header value holds a line break")
        }
        handle = try withCurlRequest(request.method, request.url, headers: all, certificates: certificates) { description in
            (request.body ?? []).withUnsafeBufferPointer { body in
                description.body = request.body == nil ? nil : body.baseAddress ?? emptyBody
                description.body_length = body.count
                description.connect_timeout_ms = Int(min(Self.connectTimeout, request.timeout).millisecondsRoundedUp)
                description.timeout_ms = max(1, Int(request.timeout.millisecondsRoundedUp))
                description.most_redirects = request.followsRedirects ? Self.mostRedirects : 0
                description.context = Unmanaged.passUnretained(self).toOpaque()
                description.on_header = { context, bytes, count in
                    HTTPTransfer.from(context).takeHeader(UnsafeBufferPointer(start: bytes, count: count))
                }
                description.on_body = { context, bytes, count in
                    HTTPTransfer.from(context).takeBody(UnsafeBufferPointer(start: bytes, count: count))
                }
                return keyhole_curl_start(multi, &description)
            }
        }
        if handle == nil { throw .failed("out of memory") }
    }

    func failLater(_ failure: HTTPFailure, on loop: EventLoop) {
        // The timer keeps the transfer until it has fired, as the client does for a started one.
        failing = Timer(on: loop) { [self] in
            failing = nil
            complete(.failure(failure))
        }
        failing?.start(after: .zero)
    }

    func end(in multi: OpaquePointer?) {
        if let handle, let multi { keyhole_curl_end(multi, handle) }
        handle = nil
    }

    func complete(_ result: Result<HTTPResponse, HTTPFailure>) {
        let completion = completion
        self.completion = nil
        completion?(result)
    }

    func result(
        _ ending: keyhole_curl_ending, status: Int, redirectedTo url: String?, reason: String
    ) -> Result<HTTPResponse, HTTPFailure> {
        switch ending {
        case keyhole_curl_done: .success(HTTPResponse(status: status, headers: headers, body: body, redirectedTo: url))
        case keyhole_curl_timed_out: .failure(.timedOut)
        case keyhole_curl_stopped: .failure(.tooLarge)
        case keyhole_curl_bad_url: .failure(.badURL(reason))
        default: .failure(.failed(reason))
        }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPTransfer {
        Unmanaged<HTTPTransfer>.fromOpaque(context!).takeUnretainedValue()
    }

    private func takeHeader(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        headerBytes += bytes.count
        guard headerBytes <= Self.largestHeaders else { return false }
        if bytes.starts(with: "HTTP/".utf8) {
            // Only the last of several responses counts.
            headers = []
            body = []
        } else if let header = headerField(bytes) {
            headers.append(header)
        }
        return true
    }

    private func takeBody(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard body.count + bytes.count <= request.largestBody else { return false }
        body.append(contentsOf: bytes)
        return true
    }
}

/// A header line cut in name and value; nil for the empty line at the end and for garbage.
public func headerField(_ line: some Collection<UInt8>) -> (name: String, value: String)? {
    guard let colon = line.firstIndex(of: 0x3a), colon != line.startIndex else { return nil }
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
    let value = Array(line[line.index(after: colon)...].drop(while: isSpace))
    let end = value.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? 0
    return (String(decoding: line[..<colon], as: UTF8.self), String(decoding: value[..<end], as: UTF8.self))
}

/// `http` or `https`, if the URL is of one of them.
public func httpScheme(of url: String) -> String? {
    for scheme in ["https", "http"] where url.lowercased().hasPrefix(scheme + "://") && url.utf8.count > scheme.utf8.count + 3 { return scheme }
    return nil
}
