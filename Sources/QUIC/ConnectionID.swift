import CQUIC

/// A QUIC connection id: at most 20 bytes (RFC 9000, section 17.2), kept inline because one is looked up for every packet.
struct ConnectionID: Hashable, Sendable {
    /// Bytes of the ids that we issue, as iroh does (spec/iroh-wire.md, 3.1).
    static let issuedLength = 8

    private var words: (UInt64, UInt64, UInt32) = (0, 0, 0)
    let length: UInt8

    /// Nil for more than 20 bytes.
    init?(_ start: UnsafePointer<UInt8>?, count: Int) {
        guard count <= keyhole_quic_largest_cid else { return nil }
        length = UInt8(count)
        guard let start else { return }
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count)) }
    }

    init(_ raw: keyhole_quic_cid) {
        length = raw.length
        withUnsafeBytes(of: raw.bytes) { source in
            withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<20])) }
        }
    }

    init(bytes: [UInt8]) {
        self = bytes.withUnsafeBufferPointer { ConnectionID($0.baseAddress, count: $0.count)! }
    }

    var raw: keyhole_quic_cid {
        var raw = keyhole_quic_cid()
        raw.length = length
        withUnsafeBytes(of: words) { source in
            withUnsafeMutableBytes(of: &raw.bytes) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<20])) }
        }
        return raw
    }

    static func == (left: ConnectionID, right: ConnectionID) -> Bool {
        left.words.0 == right.words.0 && left.words.1 == right.words.1 && left.words.2 == right.words.2 && left.length == right.length
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        if length > 8 {
            hasher.combine(words.1)
            hasher.combine(words.2)
        }
    }
}
