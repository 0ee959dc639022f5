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
            /// The relay gives no answer any more, or enough waits for it already, see ``RelayQueue``.
            case notAsked = "not-asked"
        }

        public var outcome: Outcome
        /// Of HTTP; nil when there was no answer.
        public var status: Int?
        /// DHT nodes that the relay says have it.
        public var nodes: Int?
        /// The packet that has overtaken this one, verified.
        public var newer: SignedPacket?
        /// Why there was no answer, or no question.
        public var error: String?
        /// How long the relay wants to be left alone (`Retry-After`, RFC 9110, 10.2.3).
        public var retryAfter: Duration?
        /// The relay's own words, see ``HTTPClient/HTTPResponse/words``.
        public var message: String?
        /// From the last request to the end of its answer, connecting included.
        public var roundTrip: Duration?
        /// What the relay showed after a conflict, verified.
        public var had: SignedPacket?
    }

    /// What a relay had to say about a key.
    public enum Holding: Equatable, Sendable {
        case packet(SignedPacket)
        /// It says that nobody has one. The sequence is that of a DHT item that is no packet.
        case nothing(invalidSequence: UInt64?)
        /// It gave no usable answer.
        case unusable(reason: String)
    }

    /// An answer to a GET, with what it says beside the packet.
    public struct Answer: Equatable, Sendable {
        public var holding: Holding
        /// Of HTTP; nil when there was no answer.
        public var status: Int?
        /// From the request to the end of its answer, connecting included.
        public var roundTrip: Duration
        /// When the relay last saw the packet in the DHT, in microseconds since 1970 (`Memento-Datetime`).
        public var lastSeen: UInt64?
        /// How long an HTTP cache on the way has kept this answer, in seconds (`Age`, RFC 9111, 5.1).
        public var cachedFor: UInt64?
        /// Who answered, when it was somebody else than the relay that was asked.
        public var redirectedTo: String?
    }

    /// Where a relay looks when it is asked (spec/pkarr-wire.md, 2.2).
    enum Policy {
        /// As for any reader: in its cache first.
        case usual
        /// In its DHT, past every cache.
        case network
    }

    public let url: RelayURL
    private let http: HTTPClient
    private let loop: EventLoop

    public init(_ url: RelayURL, http: HTTPClient, on loop: EventLoop) {
        self.url = url
        self.http = http
        self.loop = loop
    }

    /// Puts a packet. On a conflict it looks whether the relay really has another one that matters, and else tries again.
    ///
    /// - Parameters:
    ///   - basis: What the relay may have at present, if known: old relays compare and swap.
    ///   - isCareful: Whether a packet matters that is not in the basis, though it be older.
    ///   - completion: Called once, never from within this call.
    func put(
        _ packet: SignedPacket, replacing basis: PublicationBasis?, isCareful: Bool, completion: @escaping (Publication) -> Void
    ) {
        put(packet, ifMatch: basis?.newest, unless: isCareful ? basis : nil, conflictsBefore: 0, completion)
    }

    /// Gets a packet; with the network policy, the newest one that the relay can find in its DHT.
    func get(_ key: PublicKey, policy: Policy = .network, completion: @escaping (Answer) -> Void) -> RelayRequest {
        let request = RelayRequest()
        get(key, policy, mayRepeat: true, request, completion)
        return request
    }

    private func put(
        _ packet: SignedPacket, ifMatch: UInt64?, unless basis: PublicationBasis?, conflictsBefore: Int,
        _ completion: @escaping (Publication) -> Void
    ) {
        var headers: [(name: String, value: String)] = []
        if let ifMatch { headers.append(("If-Match", String(ifMatch))) }
        let request = HTTPRequest("PUT", url.url(of: packet.publicKey), headers: headers, body: packet.payload,
                                  timeout: Self.putTimeout, largestBody: Self.largestBody)
        let sent = Instant.now
        http.send(request) { [self] result in
            var publication = Publication(outcome: .unreachable, roundTrip: .now - sent)
            switch result {
            case .failure(let failure): publication.error = failure.description
            case .success(let response):
                publication.status = response.status
                publication.message = response.words
                publication.retryAfter = response.retryAfter(now: WallClock.microseconds)
                switch PutVerdict(response) {
                case .stored(let nodes): (publication.outcome, publication.nodes) = (.stored, nodes)
                case .refused: publication.outcome = .refused
                case .rateLimited: publication.outcome = .rateLimited
                case .failed: publication.outcome = .failed
                case .elsewhere(let url): (publication.outcome, publication.error) = (.failed, "not the relay but \(url) answered")
                case .conflict: return examine(packet, publication, basis, conflicts: conflictsBefore + 1, completion)
                }
            }
            completion(publication)
        }
    }

    /// After a conflict: what does the relay have?
    private func examine(
        _ packet: SignedPacket, _ publication: Publication, _ basis: PublicationBasis?, conflicts: Int,
        _ completion: @escaping (Publication) -> Void
    ) {
        _ = get(packet.publicKey) { [self] answer in
            var publication = publication
            publication.outcome = .conflict
            if case .packet(let other) = answer.holding { publication.had = other }
            if let other = publication.had, other.isMoreRecent(than: packet) {
                (publication.outcome, publication.newer) = (.overtaken, other)
                completion(publication)
            } else if let other = publication.had, let basis, other != packet, !basis.takesIntoAccount(other) {
                // It is older, but has not been merged.
                completion(publication)
            } else if conflicts < Self.mostConflicts {
                // An old relay that has what may be replaced, but not what it was told to compare with, is not busy.
                let delay = publication.status == 412 ? .zero : Self.conflictDelay * conflicts
                Timer.once(on: loop, after: delay) { [self] in
                    // What the relay should have had it has not, so it is not asked to compare any more.
                    put(packet, ifMatch: nil, unless: basis, conflictsBefore: conflicts, completion)
                }
            } else {
                completion(publication)
            }
        }
    }

    private func get(
        _ key: PublicKey, _ policy: Policy, mayRepeat: Bool, _ under: RelayRequest, _ completion: @escaping (Answer) -> Void
    ) {
        let headers = policy == .network ? [("Cache-Control", "no-cache, no-store, must-revalidate")] : []
        let request = HTTPRequest("GET", url.url(of: key) + (policy == .network ? "?policy=NetworkOnly" : ""), headers: headers,
                                  timeout: Self.getTimeout, largestBody: Self.largestBody)
        let sent = Instant.now
        under.transfer = http.send(request) { [self] result in
            under.transfer = nil
            switch result {
            case .failure(let failure):
                completion(Answer(holding: .unusable(reason: failure.description), roundTrip: .now - sent))
            case .success(let response):
                let verdict = GetVerdict(response, for: key)
                if verdict == .emptyHanded, mayRepeat { return get(key, policy, mayRepeat: false, under, completion) }
                completion(Answer(verdict, response, roundTrip: .now - sent))
            }
        }
    }

    /// The largest relay payload has 1072 bytes; relays also answer with a line of text, which is not needed.
    private static let largestBody = 4096
}

extension RelayClient.Answer {
    init(_ verdict: GetVerdict, _ response: HTTPResponse, roundTrip: Duration) {
        switch verdict {
        case .packet(let packet): holding = .packet(packet)
        case .notFound(let sequence): holding = .nothing(invalidSequence: sequence)
        case .emptyHanded: holding = .unusable(reason: "status \(response.status) without a packet")
        case .lied(let error): holding = .unusable(reason: "no packet of this key: \(error)")
        case .failed(let status): holding = .unusable(reason: "status \(status)\(response.words.map { ": \($0)" } ?? "")")
        }
        status = response.status
        self.roundTrip = roundTrip
        lastSeen = response.header("Memento-Datetime").flatMap { HTTPDate.microseconds($0) }
        cachedFor = response.header("Age").flatMap { UInt64($0) }
        redirectedTo = response.redirectedTo
    }
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
