/// What stands before the datagrams in the frames that carry them (spec/iroh-wire.md, 4.2, types 4 to 7).
public struct RelayDatagramHeader: Equatable, Sendable {
    /// Which way a frame goes, and whose id it names.
    public enum Direction: UInt8, Sendable {
        /// The id is the destination's.
        case toRelay = 4
        /// The id is the source's.
        case toClient = 6
    }

    public var direction: Direction
    public var id: EndpointID
    /// Explicit congestion notification as iroh numbers it: 0 none, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    public var ecn: UInt8
    /// Bytes of each datagram but the last in a frame of several; nil in a frame of one. 0 makes it one, too.
    public var segmentSize: UInt16?

    public init(direction: Direction, id: EndpointID, ecn: UInt8 = 0, segmentSize: UInt16? = nil) {
        self.direction = direction
        self.id = id
        self.ecn = ecn
        self.segmentSize = segmentSize
    }

    /// Whether a frame of this type carries datagrams.
    public static func isType(_ type: UInt8) -> Bool { (4...7).contains(type) }

    /// The distance from a frame to a relay to the same frame to a client: the one thing in a header that a relay changes beside the id.
    public static let relayedTypeOffset = Direction.toClient.rawValue - Direction.toRelay.rawValue
    /// Where the id stands in a frame.
    public static let idOffset = 1

    /// Bytes of the header of a frame of several.
    public static let batchLength = length(isBatch: true)
    /// Bytes of the header, type included.
    public var length: Int { Self.length(isBatch: segmentSize != nil) }

    private static func length(isBatch: Bool) -> Int { idOffset + EndpointID.length + 1 + (isBatch ? 2 : 0) }

    /// Reads the header of a whole frame.
    ///
    /// - Throws: ``RelayFrameError/noDatagram`` when nothing follows it, and ``RelayFrameError/tooLarge`` for a frame that nobody may send
    ///   on: both would end the connection of an unlucky receiver.
    public init(decoding frame: UnsafeRawBufferPointer) throws(RelayFrameError) {
        guard let type = frame.first else { throw .malformed }
        guard let direction = Direction(rawValue: type & ~1) else { throw .unknownType(type) }
        let isBatch = type & 1 == 1
        let length = Self.length(isBatch: isBatch)
        guard frame.count >= length else { throw .malformed }
        guard frame.count > length else { throw .noDatagram }
        guard frame.count <= RelayFrame.largestSent else { throw .tooLarge }
        self.direction = direction
        id = EndpointID(loading: UnsafeRawBufferPointer(rebasing: frame[Self.idOffset...]))
        ecn = frame[Self.idOffset + EndpointID.length]
        segmentSize = isBatch ? UInt16(frame[length - 2]) << 8 | UInt16(frame[length - 1]) : nil
    }

    /// The header's bytes, without an allocation.
    public func withEncoded<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeTemporaryAllocation(byteCount: Self.length(isBatch: true), alignment: 1) { bytes in
            bytes[0] = direction.rawValue | (segmentSize == nil ? 0 : 1)
            id.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: bytes[Self.idOffset...]).copyMemory(from: $0) }
            bytes[Self.idOffset + EndpointID.length] = ecn
            if let segmentSize { bytes.storeBytes(of: segmentSize.bigEndian, toByteOffset: length - 2, as: UInt16.self) }
            return body(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        }
    }

    var encoded: [UInt8] { withEncoded { Array($0) } }
}
