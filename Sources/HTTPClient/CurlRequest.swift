import CCurl
import Glibc

/// Where an empty body starts: libcurl takes no pointer for no body.
nonisolated(unsafe) let emptyBody = UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

/// Calls `body` with the beginning of a request, whose strings live until it returns.
///
/// - Parameter headers: Whole lines.
/// - Throws: ``HTTPFailure/badURL(_:)``.
func withCurlRequest<Result>(
    _ method: String, _ url: String, headers: [String] = [], certificates: String?, _ body: (inout keyhole_curl_request) -> Result
) throws(HTTPFailure) -> Result {
    guard let scheme = httpScheme(of: url) else { throw .badURL(url) }
    return withCStrings(headers) { headers in
        withCStrings([method, url, scheme] + (certificates.map { [$0] } ?? [])) { strings in
            var request = keyhole_curl_request()
            request.method = strings[0]
            request.url = strings[1]
            // An https relay must not be able to send us somewhere in clear text.
            request.schemes = strings[2]
            request.certificates = strings[3]
            request.headers = headers
            return body(&request)
        }
    }
}

/// Calls `body` with a null-terminated array of C strings.
private func withCStrings<Result>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
    let pointers = strings.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    return (pointers.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { body($0.baseAddress!) }
}
