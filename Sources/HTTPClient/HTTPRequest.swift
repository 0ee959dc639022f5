/// A request with its limits.
public struct HTTPRequest: Sendable {
    public var method: String
    /// An `http` or `https` URL.
    public var url: String
    /// Names and values; a value with a line break is refused.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]?
    /// For everything from look-up to the last byte.
    public var timeout: Duration
    /// A longer body of the response is an error, so that no server can fill our memory.
    public var largestBody: Int
    /// Otherwise a redirect is an answer like others.
    public var followsRedirects = true

    public init(
        _ method: String, _ url: String, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil, timeout: Duration,
        largestBody: Int
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.largestBody = largestBody
    }
}

/// What a server answered.
public struct HTTPResponse: Sendable {
    public var status: Int
    /// In the order received.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// Who answered in the end, when it is not the URL that was asked.
    public var redirectedTo: String?

    public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [], redirectedTo: String? = nil) {
        self.status = status
        self.headers = headers
        self.body = body
        self.redirectedTo = redirectedTo
    }

    /// The first header of that name, in any case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Why there is no response.
public enum HTTPFailure: Error, Equatable, CustomStringConvertible {
    /// libcurl is not installed.
    case libraryMissing(String)
    case badURL(String)
    case timedOut
    /// Headers or body were over their limit.
    case tooLarge
    /// The HTTP proxy does not connect us: its status.
    case proxyRefused(status: Int)
    /// No connection, a broken one, a certificate that does not fit: libcurl's words.
    case failed(String)

    public var description: String {
        switch self {
        case .libraryMissing(let reason): "libcurl can't be loaded (\(reason)); on Debian it is in the package libcurl4"
        case .badURL(let reason): "not an http or https URL: \(reason)"
        case .timedOut: "timed out"
        case .tooLarge: "the answer is larger than allowed"
        // Some say it with the status that is meant for servers.
        case .proxyRefused(let status) where status == 407 || status == 401:
            "the HTTP proxy answered \(status): it wants a user and password, or others, as in https_proxy=http://USER:PASSWORD@HOST:PORT"
        case .proxyRefused(let status): "the HTTP proxy answered \(status) and does not connect us: see https_proxy, http_proxy and no_proxy"
        case .failed(let reason): reason
        }
    }
}
