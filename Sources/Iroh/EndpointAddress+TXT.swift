import Crypto
import JSON
import Pkarr
import Platform

/// The attributes of an endpoint in TXT records (spec/iroh-wire.md, 2.2): one `key=value` a record.
enum TXTAttribute: String {
    case relay
    case address = "addr"
    case userData = "user-data"

    /// Where iroh looks, relative to the key. Case counts.
    static let owner = "_iroh"
    /// Where the first Pubky gateway published, in a form that no iroh reads: addresses as `quic://host:port`, and an ALPN.
    static let leftoverOwner = "_iroh._udp"
    /// Bytes of one TXT string.
    static let longestString = 255
}

extension EndpointAddress {
    /// The names at which an endpoint stands in a key's zone, today's and a former one.
    public static func recordNames(in zone: PublicKey) -> [DomainName] {
        // Two constant labels before a key are well below every limit.
        [TXTAttribute.owner, TXTAttribute.leftoverOwner].compactMap { try? DomainName(owner: $0, in: zone) }
    }

    /// The endpoint as TXT records: all relays, all addresses, the user data. Real iroh reads every set that this returns.
    ///
    /// - Parameter timeToLive: Seconds.
    /// - Throws: ``ObjectError`` naming a member whose value iroh would cut or drop.
    public func records(timeToLive: UInt32) throws(ObjectError) -> RecordSet {
        let name = Self.recordNames(in: id)[0]
        var records: [ResourceRecord] = []
        func append(_ attribute: TXTAttribute, _ value: String, _ path: String) throws(ObjectError) {
            // A reader cuts a value at its first "=".
            if value.utf8.contains(UInt8(ascii: "=")) { throw ObjectError(path, "\"=\" can't be published: iroh reads a value up to it") }
            let string = Array("\(attribute.rawValue)=\(value)".utf8)
            if string.count > TXTAttribute.longestString {
                throw ObjectError(path, "too long for a TXT string: \(string.count) bytes, \(TXTAttribute.longestString) fit")
            }
            records.append(ResourceRecord(
                name: name, type: .txt, timeToLive: timeToLive, rdata: RecordData.strings([string]).rdata))
        }
        for (index, url) in relayURLs.enumerated() { try append(.relay, url.description, "relay_urls[\(index)]") }
        for (index, address) in addresses.enumerated() { try append(.address, address.description, "addresses[\(index)]") }
        if let userData { try append(.userData, userData, "user_data") }
        return RecordSet(publicKey: id, records: records)
    }
}
