import Crypto
import Iroh
import JSON
import Paths
import Platform
import QUIC

/// What one side of the hand-over asks of the other: a stream for a connection, or a connection for a stream (keyhole-handover(7)).
public struct HandoverRequest: Equatable, Sendable {
    /// The peer at the other end of the stream. When a stream is asked for, nil means the peer that the dialler was given.
    public var peer: PublicKey?
    /// The application protocol that the connection agreed on.
    public var alpn: String?
    /// How the peer is reached: `direct`, `punched` or `relay`.
    public var path: String?
    /// The peer's address as text, or the relay's URL.
    public var remote: String?
    /// When a stream is asked for: where the peer is to be found, for a dialler that has not been told or was told something older.
    public var endpoint: EndpointAddress?
    /// Bytes that were already read from the socket that travels beside the request; they go before the rest.
    public var data: [UInt8]

    public init(
        peer: PublicKey?, alpn: String? = nil, path: String? = nil, remote: String? = nil, endpoint: EndpointAddress? = nil, data: [UInt8] = []
    ) {
        self.peer = peer
        self.endpoint = endpoint
        self.alpn = alpn
        self.path = path
        self.remote = remote
        self.data = data
    }

    /// The peer's address when the stream began, which QUIC has proved; nil behind a relay.
    var address: SocketAddress? { path == NetworkPath.directWord ? remote.flatMap { SocketAddress($0) } : nil }

    /// More than the longest request head that HTTP servers take, and small enough that a line holds it.
    public static let mostData = 32768
}

/// One line of the hand-over protocol (keyhole-handover(7)).
public enum HandoverMessage: Equatable, Sendable {
    /// A request, with the number its answer will bear. In the direction that asks for a stream, a socket travels beside it.
    case open(id: Int64, HandoverRequest)
    /// The request was fulfilled. In the direction that asks for a connection, a socket travels beside it, and `bytes` is how many may be
    /// carried, both ways together. In the other, `path` and `remote` say which way the stream goes.
    case opened(id: Int64, path: String? = nil, remote: String? = nil, bytes: Int64? = nil)
    /// The request failed.
    case failed(id: Int64, HandoverRefusal)
    /// The stream that a connection was asked for is over, and has carried so many bytes both ways together.
    case ended(id: Int64, bytes: Int64)
    /// A message of a later version of the protocol: it is ignored.
    case unknown
}

/// Why a line is no message.
public struct HandoverSyntaxError: Error, Equatable, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}

extension HandoverMessage {
    /// Longest line in bytes, its newline included: the most data in base64 and room for the other fields.
    public static let longestLine = 65536

    /// Reads a line without its newline.
    ///
    /// - Parameter knownPeer: A key that need not be checked again.
    /// - Throws: ``HandoverSyntaxError`` for what no version of the protocol can mean.
    public init(parsing line: [UInt8], knownPeer: PublicKey? = nil) throws(HandoverSyntaxError) {
        let value: JSONValue
        do throws(JSONSyntaxError) { value = try JSONValue(parsing: line) } catch {
            throw HandoverSyntaxError("no JSON at column \(error.column): \(error.reason)")
        }
        guard let object = value.objectValue else { throw HandoverSyntaxError("expected a JSON object, found \(value.typeName)") }
        if let open = object["open"] {
            guard let open = open.objectValue else { throw HandoverSyntaxError("open is \(open.typeName), not an object") }
            self = .open(id: try Self.id(of: open), try HandoverRequest(open, knownPeer: knownPeer))
        } else if object["ok"]?.boolValue == true {
            self = .opened(
                id: try Self.id(of: object), path: try object.string("path"), remote: try object.string("remote"), bytes: try Self.bytes(of: object))
        } else if let ended = object["ended"] {
            guard let ended = ended.objectValue else { throw HandoverSyntaxError("ended is \(ended.typeName), not an object") }
            self = .ended(id: try Self.id(of: ended), bytes: try Self.bytes(of: ended) ?? 0)
        } else if let reason = try object.string("error") {
            self = .failed(id: try Self.id(of: object), HandoverRefusal(reason, object))
        } else {
            self = .unknown
        }
    }

    private static func id(of object: JSONObject) throws(HandoverSyntaxError) -> Int64 {
        guard let id = object["id"]?.integerValue, id >= 0 else { throw HandoverSyntaxError("id has to be a whole number from 0 on") }
        return id
    }

    private static func bytes(of object: JSONObject) throws(HandoverSyntaxError) -> Int64? {
        guard let value = object["bytes"] else { return nil }
        guard let bytes = value.integerValue, bytes >= 0 else { throw HandoverSyntaxError("bytes has to be a whole number from 0 on") }
        return bytes
    }

    /// The message as a line with its newline.
    public var line: [UInt8] {
        var object = JSONObject()
        switch self {
        case .open(let id, let request):
            var open = JSONObject(members: [("id", .integer(id)), ("peer", request.peer.map { .string($0.zBase32) } ?? .null)])
            open["alpn"] = request.alpn.map(JSONValue.string)
            open["path"] = request.path.map(JSONValue.string)
            open["remote"] = request.remote.map(JSONValue.string)
            open["endpoint"] = request.endpoint.map { .object($0.json) }
            if !request.data.isEmpty { open["data"] = .string(base64(request.data)) }
            object["open"] = .object(open)
        case .opened(let id, let path, let remote, let bytes):
            object = JSONObject(members: [("id", .integer(id)), ("ok", true)])
            object["path"] = path.map(JSONValue.string)
            object["remote"] = remote.map(JSONValue.string)
            object["bytes"] = bytes.map(JSONValue.integer)
        case .ended(let id, let bytes):
            object["ended"] = .object(JSONObject(members: [("id", .integer(id)), ("bytes", .integer(bytes))]))
        case .failed(let id, let refusal):
            object = JSONObject(members: [("id", .integer(id))] + refusal.members)
        case .unknown: break
        }
        return Array(JSONValue.object(object).text.utf8) + [0x0a]
    }
}

extension HandoverRequest {
    fileprivate init(_ object: JSONObject, knownPeer: PublicKey?) throws(HandoverSyntaxError) {
        var peer: PublicKey?
        if let text = try object.string("peer") {
            peer = knownPeer?.zBase32 == text ? knownPeer : PublicKey(zBase32: text)
            if peer == nil { throw HandoverSyntaxError("peer is no z-base-32 key") }
        }
        var data: [UInt8] = []
        if let text = try object.string("data") {
            guard let decoded = bytes(base64: text), decoded.count <= Self.mostData else {
                throw HandoverSyntaxError("data is no base64 of at most \(Self.mostData) bytes")
            }
            data = decoded
        }
        self.init(peer: peer, alpn: try object.string("alpn"), path: try object.string("path"), remote: try object.string("remote"),
                  endpoint: try Self.endpoint(of: object, peer), data: data)
    }

    private static func endpoint(of object: JSONObject, _ peer: PublicKey?) throws(HandoverSyntaxError) -> EndpointAddress? {
        guard let value = object["endpoint"], value != .null else { return nil }
        guard let members = value.objectValue else { throw HandoverSyntaxError("endpoint is \(value.typeName), not an object") }
        let endpoint: EndpointAddress
        do throws(ObjectError) { endpoint = try EndpointAddress(json: members) } catch { throw HandoverSyntaxError("\(error.inside("endpoint"))") }
        guard endpoint.id == peer else { throw HandoverSyntaxError("endpoint is another's than peer's") }
        return endpoint
    }
}

extension JSONObject {
    /// A member that is a string; nil if it is missing or null.
    fileprivate func string(_ name: String) throws(HandoverSyntaxError) -> String? {
        switch self[name] {
        case nil, .null?: return nil
        case .string(let text)?: return text
        case let other?: throw HandoverSyntaxError("\(name) is \(other.typeName), not a string")
        }
    }
}
