import Crypto

/// The 32 bytes of an endpoint id as they stand in relay frames, whether or not they are a key: a relay only compares them.
public struct EndpointID: Hashable, Sendable {
    public static let length = 32

    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Reads the first 32 bytes, which have to be there.
    public init(loading bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count >= Self.length)
        words = (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                 bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    }

    /// Nil unless there are 32 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        self = Array(bytes).withUnsafeBytes { EndpointID(loading: $0) }
    }

    public init(_ key: PublicKey) { self = key.bytes.withUnsafeBytes { EndpointID(loading: $0) } }

    public var bytes: [UInt8] { withUnsafeBytes(Array.init) }

    /// Nil when the bytes are no key.
    public var key: PublicKey? { PublicKey(bytes: bytes) }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { Swift.withUnsafeBytes(of: words, body) }

    public static func == (left: EndpointID, right: EndpointID) -> Bool { left.words == right.words }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

extension EndpointID: CustomStringConvertible {
    public var description: String { Base32Alphabet.zBase32.encode(bytes) }
}
