import HTTPClient
import Iroh
import IrohRelayClient
import Platform

extension RelayTransports {
    /// `/ping` answers with nothing; some put a word there. In bytes.
    private static let largestAnswer = 4096

    /// Asks a relay over HTTP whether it is there (spec/iroh-wire.md, 4.5). A connection that is still open is used again.
    ///
    /// - Parameter completion: Called once with the time that the answer took, from the loop and never from within this call.
    public func ping(_ url: RelayURL, timeout: Duration, completion: @escaping (Result<Duration, RelayLinkFailure>) -> Void) {
        var request = HTTPRequest("GET", url.ping, timeout: timeout, largestBody: Self.largestAnswer)
        // Whatever a portal sends us to is not the relay.
        request.followsRedirects = false
        let start = Instant.now
        http.send(request) { answer in
            switch answer {
            case .success(let response) where response.status == 200: completion(.success(.now - start))
            case .success(let response): completion(.failure(.notUpgraded(status: response.status, location: response.header("Location"))))
            case .failure(let failure): completion(.failure(.unreachable(failure.description)))
            }
        }
    }
}

extension RelayURL {
    /// Where a relay says that it is there. As with `/relay`, the path is replaced (spec/iroh-wire.md, 4.1).
    fileprivate var ping: String { "\(description.prefix { $0 != ":" })://\(authority)/ping" }
}
