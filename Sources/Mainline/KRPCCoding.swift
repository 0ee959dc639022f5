import Crypto
import Platform

extension KRPCMessage {
    /// Why a datagram is dropped without an answer.
    public enum ReadError: Error, Equatable { case notBencoded(Bencode.ReadError), notKRPC }

    /// Reads a datagram. Throws only for what can't be answered; a query with wrong arguments is ``KRPCQuery/invalid(_:)``.
    public init(_ datagram: [UInt8]) throws(ReadError) {
        let message: Bencode
        do { message = try Bencode(datagram) } catch { throw .notBencoded(error) }
        guard let transaction = message["t"]?.stringValue, (1...KRPCMessage.longestTransaction).contains(transaction.count) else {
            throw .notKRPC
        }
        switch message["y"]?.stringValue {
        case Array("q".utf8):
            guard let arguments = message["a"], let id = NodeID(member: arguments["id"]) else { throw .notKRPC }
            body = .query(id: id, KRPCQuery(method: message["q"]?.stringValue ?? [], arguments))
            want = AddressFamilies(arguments["want"])
        case Array("r".utf8):
            guard let result = message["r"], let response = KRPCResponse(result) else { throw .notKRPC }
            body = .response(response)
        case Array("e".utf8):
            guard let list = message["e"]?.listValue, list.count >= 2, let code = list[0].integerValue, let text = list[1].stringValue
            else { throw .notKRPC }
            body = .error(KRPCError(code: code, text: String(decoding: text, as: UTF8.self)))
        default: throw .notKRPC
        }
        self.transaction = transaction
        isReadOnly = message["ro"]?.integerValue == 1
        observedAddress = message["ip"]?.stringValue.flatMap { SocketAddress(compact: $0) }
    }

    /// The datagram to send.
    public var encoded: [UInt8] {
        var method: Bencode?
        var arguments: Bencode?
        var result: Bencode?
        var failure: Bencode?
        let kind: UInt8
        switch body {
        case .query(let id, let query):
            kind = UInt8(ascii: "q")
            method = .string(Array(query.method.utf8))
            arguments = query.arguments(id: id, want: want)
        case .response(let response):
            kind = UInt8(ascii: "r")
            result = response.bencode
        case .error(let error):
            kind = UInt8(ascii: "e")
            failure = .list([.integer(error.code), .string(Array(error.text.utf8))])
        }
        return Bencode.sorted([
            "a": arguments, "e": failure, "ip": observedAddress.map { .string($0.compact) }, "q": method, "r": result,
            "ro": isReadOnly ? .integer(1) : nil, "t": .string(transaction), "v": .string(KRPCMessage.version), "y": .string([kind]),
        ]).encoded
    }
}

extension KRPCQuery {
    var method: String {
        switch self {
        case .ping: "ping"
        case .findNode: "find_node"
        case .get: "get"
        case .put: "put"
        case .other, .invalid: ""
        }
    }

    func arguments(id: NodeID, want: AddressFamilies?) -> Bencode {
        let id = Bencode.string(id.bytes)
        let want = want.map(\.bencode)
        switch self {
        case .ping, .invalid, .other(nil): return .sorted(["id": id])
        case .findNode(let target), .other(let target?):
            return .sorted(["id": id, "target": .string(target.bytes), "want": want])
        case .get(let target, let sequence):
            return .sorted(["id": id, "seq": sequence.map { .integer($0) }, "target": .string(target.bytes), "want": want])
        case .put(let token, let put):
            // The mainline library sends a target and may want one; libtorrent does not mind (spec/pkarr-wire.md, 3.1).
            let target = Bencode.string(put.target.bytes), value = try? Bencode(put.encodedValue)
            guard case .mutable(let item, let cas) = put else {
                return .sorted(["id": id, "target": target, "token": .string(token), "v": value])
            }
            return .sorted([
                "cas": cas.map { .integer($0) }, "id": id, "k": .string(item.key.bytes), "salt": item.salt.isEmpty ? nil : .string(item.salt),
                "seq": .integer(item.sequence), "sig": .string(item.signature), "target": target, "token": .string(token), "v": value,
            ])
        }
    }

    init(method: [UInt8], _ arguments: Bencode) {
        let target = NodeID(member: arguments["target"])
        switch String(decoding: method, as: UTF8.self) {
        case "ping": self = .ping
        case "find_node": self = target.map { .findNode(target: $0) } ?? .malformed("missing 'target' key")
        case "get":
            guard let target else { self = .malformed("missing 'target' key"); return }
            self = .get(target: target, moreRecentThan: arguments["seq"]?.integerValue)
        case "put": self = KRPCQuery.put(arguments)
        default: self = .other(target: target ?? NodeID(member: arguments["info_hash"]))
        }
    }

    /// The checks of BEP 44 that need no knowledge of what is stored.
    private static func put(_ arguments: Bencode) -> KRPCQuery {
        guard let token = arguments["token"]?.stringValue else { return malformed("missing 'token' key") }
        guard let value = arguments["v"]?.encoded else { return malformed("missing 'v' key") }
        guard ItemLimits.allows(encodedValue: value) else {
            return .invalid(KRPCError(code: KRPCError.tooBigCode, text: "message too big"))
        }
        guard arguments["k"] != nil || arguments["sig"] != nil || arguments["seq"] != nil else { return .put(token: token, .immutable(value)) }
        guard let keyBytes = arguments["k"]?.stringValue, let key = PublicKey(bytes: keyBytes) else { return malformed("invalid key") }
        guard let signature = arguments["sig"]?.stringValue, signature.count == 64 else { return malformed("missing 'sig' key") }
        guard let sequence = arguments["seq"]?.integerValue else { return malformed("missing 'seq' key") }
        guard sequence >= 0 else { return malformed("invalid (negative) sequence number") }
        let salt = arguments["salt"]?.stringValue ?? []
        guard salt.count <= ItemLimits.saltBytes else {
            return .invalid(KRPCError(code: KRPCError.saltTooBigCode, text: "salt too big"))
        }
        let item = MutableItem(key: key, salt: salt, sequence: sequence, signature: signature, encodedValue: value)
        return .put(token: token, .mutable(item, cas: arguments["cas"]?.integerValue))
    }

    private static func malformed(_ text: String) -> KRPCQuery { .invalid(KRPCError(code: KRPCError.protocolCode, text: text)) }
}

extension KRPCPut {
    var encodedValue: [UInt8] {
        switch self {
        case .immutable(let value): value
        case .mutable(let item, _): item.encodedValue
        }
    }

    var target: NodeID {
        switch self {
        case .immutable(let value): NodeID(hashing: value)
        case .mutable(let item, _): item.target
        }
    }
}

extension KRPCResponse {
    init?(_ result: Bencode) {
        guard let id = NodeID(member: result["id"]) else { return nil }
        self.init(id: id)
        nodes = result["nodes"]?.stringValue.map { Contact.list(compact: $0) }
        nodes6 = result["nodes6"]?.stringValue.map { Contact.list(compact6: $0) }
        token = result["token"]?.stringValue.flatMap { $0.count <= KRPCResponse.longestToken ? $0 : nil }
        encodedValue = result["v"]?.encoded
        key = result["k"]?.stringValue
        sequence = result["seq"]?.integerValue
        signature = result["sig"]?.stringValue
    }

    var bencode: Bencode {
        .sorted([
            "id": .string(id.bytes), "nodes": nodes.map { .string(Array($0.map(\.compact).joined())) },
            "nodes6": nodes6.map { .string(Array($0.map(\.compact).joined())) },
            "token": token.map { .string($0) }, "v": encodedValue.flatMap { try? Bencode($0) }, "k": key.map { .string($0) },
            "seq": sequence.map { .integer($0) }, "sig": signature.map { .string($0) },
        ])
    }
}

extension NodeID {
    init?(member: Bencode?) {
        guard let bytes = member?.stringValue else { return nil }
        self.init(bytes)
    }
}
