import Crypto
import Platform

/// A message of the DHT (BEP 5, with BEP 42's `ip`, BEP 43's `ro` and BEP 44's items).
public struct KRPCMessage: Equatable, Sendable {
    /// Chosen by the asker and echoed. Ours have 4 bytes: nodes of the mainline library read nothing else.
    public var transaction: [UInt8]
    /// The asker does not answer queries and must not be remembered (BEP 43).
    public var isReadOnly = false
    /// Where the answering node saw the asker (BEP 42).
    public var observedAddress: SocketAddress?
    /// In a query, which nodes the asker wants to hear of; nil for those of the family that it asks over (BEP 32).
    public var want: AddressFamilies?
    public var body: Body

    public enum Body: Equatable, Sendable {
        case query(id: NodeID, KRPCQuery)
        case response(KRPCResponse)
        case error(KRPCError)
    }

    public init(transaction: [UInt8], isReadOnly: Bool = false, observedAddress: SocketAddress? = nil, want: AddressFamilies? = nil, body: Body) {
        self.transaction = transaction
        self.isReadOnly = isReadOnly
        self.observedAddress = observedAddress
        self.want = want
        self.body = body
    }

    /// Longer transaction ids are not echoed, so that nobody has us carry his data.
    static let longestTransaction = 32
    /// Client and version, exactly 4 bytes (spec/pkarr-wire.md, 3.1).
    static let version: [UInt8] = Array("KH".utf8) + [0, 1]
}

/// What is asked of a node.
public enum KRPCQuery: Equatable, Sendable {
    case ping
    case findNode(target: NodeID)
    /// `moreRecentThan`: a node whose item is not newer leaves it out (BEP 44's `seq`).
    case get(target: NodeID, moreRecentThan: Int64?)
    case put(token: [UInt8], KRPCPut)
    /// A method that is not known here. With a target it is answered like find_node (BEP 5, forward compatibility).
    case other(target: NodeID?)
    /// A query that has to be answered with an error.
    case invalid(KRPCError)
}

/// What a put query wants stored.
public enum KRPCPut: Equatable, Sendable {
    /// The bencoded value.
    case immutable([UInt8])
    /// `cas`: only store when the present sequence is this one.
    case mutable(MutableItem, cas: Int64?)
}

/// What a node answers. All but the id depends on the query.
public struct KRPCResponse: Equatable, Sendable {
    public var id: NodeID
    public var nodes: [Contact]?
    /// Nodes of the IPv6 network (BEP 32).
    public var nodes6: [Contact]?
    public var token: [UInt8]?
    /// The bencoded value of an item.
    public var encodedValue: [UInt8]?
    public var key: [UInt8]?
    public var sequence: Int64?
    public var signature: [UInt8]?

    public init(id: NodeID) { self.id = id }

    /// Longer tokens are not sent back; those in use have 4 to 20 bytes.
    static let longestToken = 128

    /// The mutable item in the answer, checked in every way: it belongs to the target, has an allowed size and a valid signature.
    ///
    /// - Parameter verified: An item of this target that has been checked already. Most nodes send the same one, and a signature is by
    ///   far the dearest thing to check.
    /// - Returns: Nil when there is no item.
    func mutableItem(for target: NodeID, verified: MutableItem? = nil) -> Result<MutableItem, ItemFlaw>? {
        guard let encodedValue else { return nil }
        guard let key, let sequence, let signature, signature.count == 64 else { return .failure(.incomplete) }
        if let verified, carries(verified) { return .success(verified) }
        guard sequence >= 0 else { return .failure(.negativeSequence) }
        guard ItemLimits.allows(encodedValue: encodedValue) else { return .failure(.tooLarge) }
        guard NodeID(hashing: key) == target, let key = PublicKey(bytes: key) else { return .failure(.wrongKey) }
        let item = MutableItem(key: key, salt: [], sequence: sequence, signature: signature, encodedValue: encodedValue)
        return item.isSignatureValid ? .success(item) : .failure(.badSignature)
    }

    /// Whether this very item is in the answer, byte for byte.
    func carries(_ item: MutableItem) -> Bool {
        item.encodedValue == encodedValue && item.sequence == sequence && item.signature == signature && item.key.bytes == key
    }
}

/// What is wrong with an item that a node has sent.
public enum ItemFlaw: Error, Equatable, Sendable {
    case incomplete, negativeSequence, tooLarge, wrongKey, badSignature
}

/// An error message (BEP 5, BEP 44).
public struct KRPCError: Error, Equatable, Sendable {
    public var code: Int64
    /// As the other side wrote it: escape it before showing it.
    public var text: String

    public init(code: Int64, text: String) {
        self.code = code
        self.text = text
    }

    public static let protocolCode: Int64 = 203
    public static let methodUnknownCode: Int64 = 204
    public static let tooBigCode: Int64 = 205
    public static let badSignatureCode: Int64 = 206
    public static let saltTooBigCode: Int64 = 207
    public static let casMismatchCode: Int64 = 301
    public static let sequenceTooOldCode: Int64 = 302

    /// 301 or 302: the node has another item, and by that nothing but what it says.
    public var isConflict: Bool { code == KRPCError.casMismatchCode || code == KRPCError.sequenceTooOldCode }
}
