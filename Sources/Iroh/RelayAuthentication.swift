import Crypto

/// A client's proof to a relay that it holds the key it names (spec/iroh-wire.md, 4.3): an id and a signature of 64 bytes.
public struct RelayAuthentication: Equatable, Sendable {
    /// Bytes that a relay asks to have signed.
    public static let challengeLength = 16
    /// The TLS exporter's label (RFC 8446, 7.5); its context is the client's id.
    public static let exporterLabel = "iroh-relay handshake v1"
    /// Bytes of exported keying material: the first half is signed, the second shows whether both ends see the same TLS connection.
    public static let exporterLength = 32
    /// The request header, in lower case, that carries the proof over TLS.
    public static let header = "x-iroh-relay-client-auth-v1"

    private static let signatureLength = 64
    private static let encodedLength = EndpointID.length + 1 + signatureLength
    private static let challengeContext = "iroh-relay handshake v1 challenge signature"

    public var id: EndpointID
    public var signature: [UInt8]

    /// The answer to a relay's challenge.
    public init(answering challenge: [UInt8], with key: SecretKey) {
        id = EndpointID(key.publicKey)
        signature = key.sign(Self.signed(challenge))
    }

    /// Nil unless the bytes are id, the length 64, and signature.
    init?(decoding bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == Self.encodedLength, bytes[EndpointID.length] == UInt8(Self.signatureLength) else { return nil }
        id = EndpointID(bytes: bytes[..<EndpointID.length])!
        signature = Array(bytes[(EndpointID.length + 1)...])
    }

    var encoded: [UInt8] { id.bytes + [UInt8(Self.signatureLength)] + signature }

    /// Whether this is the id's own answer to the challenge.
    public func answers(_ challenge: [UInt8]) -> Bool {
        id.key?.isValidSignature(signature, of: Self.signed(challenge)) ?? false
    }

    private static func signed(_ challenge: [UInt8]) -> [UInt8] { BLAKE3.deriveKey(context: challengeContext, material: challenge) }
}

/// The proof that a client sends with its request over TLS, which spares a round trip.
public struct RelayHeaderAuthentication: Equatable, Sendable {
    private static let suffixLength = 16

    public var authentication: RelayAuthentication
    private var suffix: [UInt8]

    /// - Parameter material: 32 bytes exported from the TLS connection for this key's id.
    public init(material: [UInt8], key: SecretKey) {
        authentication = RelayAuthentication(id: EndpointID(key.publicKey), signature: key.sign(Array(material.prefix(Self.suffixLength))))
        suffix = Array(material.dropFirst(Self.suffixLength))
    }

    /// Nil for anything but the base64url of a proof.
    public init?(header: String) {
        guard let bytes = Crypto.bytes(base64URL: header), bytes.count > Self.suffixLength,
            let authentication = RelayAuthentication(decoding: bytes.dropLast(Self.suffixLength))
        else { return nil }
        self.authentication = authentication
        suffix = Array(bytes.suffix(Self.suffixLength))
    }

    public var header: String { base64URL(authentication.encoded + suffix) }

    /// Whether the proof is valid on the TLS connection that exports this material for its id. It is not when something between the
    /// client and the relay ends TLS.
    public func isValid(material: [UInt8]) -> Bool {
        guard material.count == RelayAuthentication.exporterLength, material.suffix(Self.suffixLength) == suffix[...] else { return false }
        return authentication.id.key?.isValidSignature(authentication.signature, of: Array(material.prefix(Self.suffixLength))) ?? false
    }
}

extension RelayAuthentication {
    init(id: EndpointID, signature: [UInt8]) {
        self.id = id
        self.signature = signature
    }
}
