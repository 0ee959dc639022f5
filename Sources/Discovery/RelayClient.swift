import Crypto
import EventLoop
import HTTPClient
import Pkarr
import Platform

/// A pkarr relay as its clients see it, of any version in use (spec/pkarr-wire.md, 2).
public final class RelayClient {
    /// A PUT contains a whole DHT put on the relay's side, which silent nodes make seconds long.
    static let putTimeout: Duration = .seconds(10)
    /// A GET of the network policy contains a whole DHT look-up.
    static let getTimeout: Duration = .seconds(6)
    /// A conflict without anything newer to be found means that the relay is still putting another packet of this key: that takes some
    /// seconds.
    static let conflictDelay: Duration = .seconds(2)
    static let mostConflicts = 3

    /// How a packet fared at a relay.
    public struct Publication: Equatable, Sendable {
        public enum Outcome: String, Sendable {
            case stored
            /// The relay has a more recent packet.
            case overtaken
            /// It says that there is something else, but has nothing more recent to show.
            case conflict
            case rateLimited = "rate-limited"
            case refused
            case failed
            case unreachable
        }

        public var outcome: Outcome
        /// Of HTTP; nil when there was no answer.
        public var status: Int?
        /// DHT nodes that the relay says have it.
        public var nodes: Int?
        /// The packet that has overtaken this one, verified.
        public var newer: SignedPacket?
        /// Why there was no answer.
        public var error: String?
    }

    /// What a relay had to say about a key.
    public enum Holding: Equatable, Sendable {
        case packet(SignedPacket)
        /// It says that nobody has one. The sequence is that of a DHT item that is no packet.
        case nothing(invalidSequence: UInt64?)
        /// It gave no usable answer.
        case unusable(reason: String)
    }

    public let url: RelayURL
    private let http: HTTPClient
    private let loop: EventLoop

    public init(_ url: RelayURL, http: HTTPClient, on loop: EventLoop) {
        self.url = url
        self.http = http
        self.loop = loop
    }

    /// Puts a packet. On a conflict it looks whether the relay really has a more recent one, and else tries again.
    ///
    /// - Parameters:
    ///   - previous: The timestamp of the packet that the relay should have at present, if known: old relays compare and swap.
    ///   - completion: Called once, never from within this call.
    func put(_ packet: SignedPacket, previous: UInt64?, completion: @escaping (Publication) -> Void) {
        put(packet, previous: previous, conflictsBefore: 0, completion)
    }

    /// Gets the newest packet that the relay can find in its DHT.
    func get(_ key: PublicKey, completion: @escaping (Holding) -> Void) -> RelayRequest {
        let request = RelayRequest()
        get(key, mayRepeat: true, request, completion)
        return request
    }

    private func put(
        _ packet: SignedPacket, previous: UInt64?, conflictsBefore: Int, _ completion: @escaping (Publication) -> Void
    ) {
        var headers: [(name: String, value: String)] = []
        if let previous { headers.append(("If-Match", String(previous))) }
        let request = HTTPRequest("PUT", url.url(of: packet.publicKey), headers: headers, body: packet.payload,
                                  timeout: Self.putTimeout, largestBody: Self.largestBody)
        http.send(request) { [self] result in
            switch result {
            case .failure(let failure): completion(Publication(outcome: .unreachable, error: failure.description))
            case .success(let response):
                let status = response.status
                switch PutVerdict(response) {
                case .stored(let nodes): completion(Publication(outcome: .stored, status: status, nodes: nodes))
                case .refused: completion(Publication(outcome: .refused, status: status))
                case .rateLimited: completion(Publication(outcome: .rateLimited, status: status))
                case .failed: completion(Publication(outcome: .failed, status: status))
                case .conflict: examine(packet, status: status, conflicts: conflictsBefore + 1, completion)
                }
            }
        }
    }

    /// After a conflict: what does the relay have?
    private func examine(_ packet: SignedPacket, status: Int, conflicts: Int, _ completion: @escaping (Publication) -> Void) {
        _ = get(packet.publicKey) { [self] holding in
            if case .packet(let other) = holding, other.isMoreRecent(than: packet) {
                completion(Publication(outcome: .overtaken, status: status, newer: other))
            } else if conflicts < Self.mostConflicts {
                Timer.once(on: loop, after: Self.conflictDelay) { [self] in
                    // What the relay should have had it has not, so it is not asked to compare any more.
                    put(packet, previous: nil, conflictsBefore: conflicts, completion)
                }
            } else {
                completion(Publication(outcome: .conflict, status: status))
            }
        }
    }

    private func get(_ key: PublicKey, mayRepeat: Bool, _ under: RelayRequest, _ completion: @escaping (Holding) -> Void) {
        let headers = [("Cache-Control", "no-cache, no-store, must-revalidate")]
        let request = HTTPRequest("GET", url.url(of: key) + "?policy=NetworkOnly", headers: headers, timeout: Self.getTimeout,
                                  largestBody: Self.largestBody)
        under.transfer = http.send(request) { [self] result in
            under.transfer = nil
            switch result {
            case .failure(let failure): completion(.unusable(reason: failure.description))
            case .success(let response):
                switch GetVerdict(response, for: key) {
                case .packet(let packet): completion(.packet(packet))
                case .notFound(let sequence): completion(.nothing(invalidSequence: sequence))
                case .emptyHanded where mayRepeat: get(key, mayRepeat: false, under, completion)
                case .emptyHanded: completion(.unusable(reason: "status \(response.status) without a packet"))
                case .lied(let error): completion(.unusable(reason: "no packet of this key: \(error)"))
                case .failed(let status): completion(.unusable(reason: "status \(status)"))
                }
            }
        }
    }

    /// The largest relay payload has 1072 bytes; relays also answer with a line of text, which is not needed.
    private static let largestBody = 4096
}

/// A question to a relay that is under way.
final class RelayRequest {
    fileprivate var transfer: HTTPTransfer?

    /// Its completion is not called any more.
    func cancel() {
        transfer?.cancel()
        transfer = nil
    }
}
