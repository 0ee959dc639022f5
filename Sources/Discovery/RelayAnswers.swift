import Crypto
import HTTPClient
import Pkarr

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

    public init(_ response: HTTPResponse) {
        switch response.status {
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
