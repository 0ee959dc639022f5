import Crypto
import HTTPClient
import Pkarr
import Platform

/// What a relay's answer to a PUT means, of any relay version (spec/pkarr-wire.md, 2.1 and 2.6).
public enum PutVerdict: Equatable, Sendable {
    /// With the number of DHT nodes that have it, which relays tell since 1.0.
    case stored(nodes: Int?)
    /// 409, 412 or 428: the relay has, or its DHT has, something else; or just another packet of this key under way.
    case conflict
    /// It will say the same again: the packet or the key is not to its liking.
    case refused
    /// 429.
    case rateLimited
    /// Its trouble, not the packet's.
    case failed
    /// Another server to which the request was sent on has taken it for something: the login page of a guest network, say.
    case elsewhere(url: String)

    public init(_ response: HTTPResponse) {
        switch response.status {
        // A relay that has moved answers as relays do.
        case 200..<300 where response.redirectedTo != nil && response.status != 204: self = .elsewhere(url: response.redirectedTo!)
        case 200..<300: self = .stored(nodes: response.header("Pkarr-Dht-Stored-Nodes").flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil })
        case 409, 412, 428: self = .conflict
        case 429: self = .rateLimited
        case 400..<500: self = .refused
        default: self = .failed
        }
    }
}

/// What a relay's answer to a GET means (spec/pkarr-wire.md, 2.2, 2.4 and 2.6).
public enum GetVerdict: Equatable, Sendable {
    case packet(SignedPacket)
    /// Nobody has one. The sequence is that of an item in the DHT that is no packet, if the relay tells of one.
    case notFound(invalidSequence: UInt64?)
    /// 304 though nothing was said of what we have, or a 200 without a body: a cache on the way, or an old relay.
    case emptyHanded
    /// The body is no packet of this key.
    case lied(SignedPacketError)
    case failed(status: Int)

    public init(_ response: HTTPResponse, for key: PublicKey) {
        switch response.status {
        case 200 where response.body.isEmpty, 304: self = .emptyHanded
        case 200:
            do throws(SignedPacketError) { self = .packet(try SignedPacket(publicKey: key, payload: response.body)) } catch { self = .lied(error) }
        case 404: self = .notFound(invalidSequence: response.header("Pkarr-Invalid-Signed-Packet-Seq").flatMap { UInt64($0) })
        default: self = .failed(status: response.status)
        }
    }
}

extension HTTPResponse {
    /// How long not to ask again, as a 429 or 503 may say in seconds or with a date (RFC 9110, 10.2.3); never negative.
    ///
    /// - Parameter now: Microseconds since 1970.
    func retryAfter(now: UInt64) -> Duration? {
        guard [429, 503].contains(status), let text = header("Retry-After") else { return nil }
        // So many seconds at most that they are still a number of nanoseconds.
        if let seconds = UInt32(text) { return .seconds(Int64(seconds)) }
        guard let moment = HTTPDate.microseconds(text) else { return nil }
        return .microseconds(moment > now ? Int64(moment - now) : 0)
    }

    /// The longest message of a relay that is kept, in characters.
    private static let mostWords = 200

    /// What a relay says about an error: the first line of a body of text. Nil without one, and for a page that is meant for a browser.
    public var words: String? {
        guard status >= 400, let text = String(validating: body, as: UTF8.self), !text.contains("<") else { return nil }
        let line = text.prefix { !$0.isNewline }
        return line.isEmpty ? nil : String(line.prefix(Self.mostWords))
    }
}
