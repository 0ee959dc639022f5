import Crypto
import Pkarr
import Platform

/// What a key's records say about its endpoint.
public struct PublishedEndpoint: Sendable {
    /// What can be used of it.
    public var address: EndpointAddress
    /// What is wrong with the records.
    public var warnings: [Warning]

    public enum Warning: Hashable, Sendable, CustomStringConvertible {
        /// Real iroh refuses the whole set because of this string.
        case refusedByIroh(String)
        /// A value is read only up to its first `=`.
        case cut(String)
        /// A value that is no relay URL, address or user data was left out.
        case unusable(String)
        /// The records are those of the first Pubky gateway, which iroh does not read.
        case leftover

        public var description: String {
            switch self {
            case .refusedByIroh(let string): "real iroh refuses the whole set of _iroh records because of \"\(string)\""
            case .cut(let string): "\"\(string)\" is read only up to its second \"=\""
            case .unusable(let string): "can't use \"\(string)\""
            case .leftover: "the endpoint stands at _iroh._udp, where iroh does not look"
            }
        }
    }

    /// Reads the TXT records at `_iroh`, or those at `_iroh._udp` when there are none; nil without either.
    public init?(_ set: RecordSet) {
        let names = EndpointAddress.recordNames(in: set.publicKey)
        let candidates = names.map { name in set.records.filter { $0.name == name && $0.type == .txt && $0.isInternetClass } }
        guard let index = candidates.firstIndex(where: { !$0.isEmpty }) else { return nil }
        address = EndpointAddress(id: set.publicKey)
        let isLeftover = index > 0
        warnings = isLeftover ? [.leftover] : []
        for record in candidates[index] { read(record, isLeftover) }
    }

    private mutating func read(_ record: ResourceRecord, _ isLeftover: Bool) {
        // iroh joins the strings of a record before it looks at them.
        let bytes: [UInt8] = if case .strings(let strings) = record.data { strings.flatMap { $0 } } else { [] }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            warnings.append(.refusedByIroh(String(decoding: bytes, as: UTF8.self)))
            return
        }
        let parts = bytes.split(separator: UInt8(ascii: "="), maxSplits: 2, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count >= 2, let attribute = TXTAttribute(rawValue: parts[0]) else {
            // The first gateway named its ALPN here; it is fixed.
            if !isLeftover || parts[0] != "alpn" { warnings.append(.refusedByIroh(text)) }
            return
        }
        if parts.count > 2 { warnings.append(.cut(text)) }
        if !take(attribute, parts[1], isLeftover) { warnings.append(.unusable(text)) }
    }

    private mutating func take(_ attribute: TXTAttribute, _ value: String, _ isLeftover: Bool) -> Bool {
        switch attribute {
        case .relay:
            guard let url = RelayURL(value) else { return false }
            if !address.relayURLs.contains(url) { address.relayURLs.append(url) }
        case .address:
            let scheme = "quic://"
            let text = isLeftover && value.hasPrefix(scheme) ? String(value.dropFirst(scheme.count)) : value
            guard let socket = SocketAddress(text) else { return Self.isCustomAddress(text) }
            guard socket.isDestination else { return false }
            if !address.addresses.contains(socket) { address.addresses.append(socket) }
        case .userData:
            guard value.utf8.count <= EndpointAddress.longestUserData, !value.utf8.contains(0) else { return false }
            // The first one counts.
            if address.userData == nil { address.userData = value }
        }
        return true
    }

    /// An address of a transport of the application's own, `<id>_<data>` in hexadecimal: right, but nothing for us.
    private static func isCustomAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts.allSatisfy { $0.utf8.allSatisfy(isHexadecimal) }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }
}

extension ResourceRecord {
    fileprivate var isInternetClass: Bool { classField & ~Self.cacheFlushBit == Self.internetClass }
}
